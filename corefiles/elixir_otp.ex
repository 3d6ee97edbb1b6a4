# SPDX-License-Identifier: Apache-2.0
# What Elixir builds of processes: GenServer, Agent, Task, Registry, supervisors of each kind; and names of every kind.
#
# What goes wrong: nothing. This is the workload for whoever finds states, supervision trees and registries.
#
# An analysis should say: nothing suspicious.
#
# expect.states       as otp_states.erl has them
# expect.supervisors  which_children and count_children of each DynamicSupervisor and Supervisor
# expect.registries   what Registry.select/2 gives of each Registry: key, pid, value as ~w
# expect.global, expect.pg, expect.registered  names and who has them, dead processes included

defmodule ElixirOtp.Server do
  use GenServer, restart: :temporary
  defstruct [:name, cursors: %{}, options: [size: 1]]

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts, Keyword.take(opts, [:name]))
  def init(opts), do: {:ok, opts[:state] || %__MODULE__{name: opts[:name]}, opts[:after] || :infinity}
  def handle_call(:busy, _from, state), do: {:reply, Process.sleep(:infinity), state}
  def handle_call({:register, name, key, value}, _from, state) do
    {:ok, _} = Registry.register(name, key, value)
    {:reply, :ok, state}
  end
end

# The behaviour of the library connection, without it: a gen_server whose state has that of the callback module in it.
defmodule Connection do
  defstruct [:mod, :backoff, :raise, :mod_state]

  def start_link(mod, args, opts) do
    case Keyword.pop(opts, :name) do
      {nil, opts} -> :gen.start(__MODULE__, :link, mod, args, opts)
      {name, opts} -> :gen.start(__MODULE__, :link, {:local, name}, mod, args, opts)
    end
  end

  def init_it(starter, _parent, name, mod, args, opts) do
    Process.put(:"$initial_call", {mod, :init, 1})
    {mod_state, backoff, timeout} = init_state(mod.init(args))
    :proc_lib.init_ack(starter, {:ok, self()})
    s = %__MODULE__{mod: mod, backoff: backoff, mod_state: mod_state}

    if is_pid(name),
      do: :gen_server.enter_loop(__MODULE__, opts, s, timeout),
      else: :gen_server.enter_loop(__MODULE__, opts, s, name, timeout)
  end

  defp init_state({:ok, mod_state, timeout}), do: {mod_state, nil, timeout}
  defp init_state({:backoff, time, mod_state}), do: {mod_state, :erlang.start_timer(time, self(), __MODULE__), :infinity}

  def init(_), do: {:stop, __MODULE__}

  def handle_call(request, from, %{mod: mod, mod_state: mod_state} = s) do
    noreply = mod.handle_call(request, from, mod_state)
    put_elem(noreply, 1, %{s | mod_state: elem(noreply, 1)})
  end

  def handle_info(_, s), do: {:noreply, s}
end

defmodule ElixirOtp.Link do
  def init({how, state}) do
    case how do
      {:backoff, time} -> {:backoff, time, state}
      timeout -> {:ok, state, timeout}
    end
  end

  def handle_call(:busy, _from, state), do: {:noreply, Process.sleep(:infinity), state}
  def handle_call({:hibernate, state}, from, _), do: {:noreply, tap(state, fn _ -> GenServer.reply(from, :ok) end), :hibernate}
end

defmodule ElixirOtp do
  alias ElixirOtp.Server

  # As in otp_states.erl: since OTP 28 a supervisor hibernates when it has had nothing to do for a second.
  defp settled({pid, activity}) do
    case :sys.get_state(pid) do
      state when elem(state, 0) == :state and tuple_size(state) == 16 and elem(state, 11) != :infinity ->
        if elem(state, 12), do: {pid, :hibernated}, else: Process.sleep(1) && settled({pid, activity})

      _ ->
        {pid, activity}
    end
  end

  def start(_args) do
    Process.flag(:trap_exit, true)
    registries = registries()
    servers = servers()
    supervisors = supervisors()
    tasks = tasks()
    names = names()
    busy = busy()

    children = for({pid, _} <- supervisors, do: children(pid))
    asked = Enum.map(servers ++ supervisors ++ below(ElixirOtp.Quiet), &settled/1)
    states =
      for({pid, activity} <- asked, do: %{pid: pid, activity: activity, state: {:w, :sys.get_state(pid)}}) ++
        for {pid, state} <- busy, do: %{pid: pid, activity: :busy, state: {:w, state}}

    %{
      expect: %{
        states: states,
        tasks: tasks,
        supervisors: children,
        registries: Map.new(registries, &{&1, entries(&1)}),
        global: for(name <- :global.registered_names(), do: [{:w, name}, :global.whereis_name(name)]),
        pg: for(scope <- [:pg, :other_scope], group <- :pg.which_groups(scope), do: [scope, {:w, group}, Enum.sort(:pg.get_members(scope, group))]),
        registered: names
      },
      before_dump: fn -> die(registries) end
    }
  end

  # ---- registries ----

  defp registries do
    start = &Registry.start_link/1
    {:ok, _} = start.(keys: :unique, name: ElixirOtp.Quiet, partitions: 2)
    {:ok, _} = start.(keys: :unique, name: ElixirOtp.Unique)
    {:ok, _} = start.(keys: :duplicate, name: ElixirOtp.Duplicate)
    {:ok, _} = start.(keys: :unique, name: ElixirOtp.Partitioned, partitions: 4)
    {:ok, _} = start.(keys: :duplicate, name: ElixirOtp.Topics, partitions: 3, meta: [custom: :meta])

    for n <- 1..50 do
      {:ok, pid} = server(name: {:via, Registry, {ElixirOtp.Unique, {:user, n}}})
      :ok = GenServer.call(pid, {:register, ElixirOtp.Partitioned, "key #{n}", %{value: n}})
      :ok = GenServer.call(pid, {:register, ElixirOtp.Duplicate, rem(n, 7), n})
      :ok = GenServer.call(pid, {:register, ElixirOtp.Topics, "topic #{rem(n, 5)}", nil})
    end

    [ElixirOtp.Unique, ElixirOtp.Duplicate, ElixirOtp.Partitioned, ElixirOtp.Topics]
  end

  defp below(registry) do
    [{Process.whereis(registry), :waiting}
     | for({_, pid, _, _} <- Supervisor.which_children(registry), do: {pid, :waiting})]
  end

  defp entries(registry) do
    for {key, pid, value} <- Registry.select(registry, [{{:"$1", :"$2", :"$3"}, [], [{{:"$1", :"$2", :"$3"}}]}]) do
      [{:w, key}, pid, {:w, value}]
    end
  end

  # ---- processes ----

  defp server(opts) do
    Server.start_link(opts)
  end

  defp servers do
    {:ok, plain} = server(name: ElixirOtp.Plain)
    {:ok, timeout} = server(state: {:with, "timeout"}, after: 1_000_000_000)
    {:ok, hibernated} = server(state: [hibernated: true], after: :hibernate)
    {:ok, agent} = Agent.start_link(fn -> %{agent: [1, 2, 3]} end, name: ElixirOtp.Agent)
    {:ok, integer} = Agent.start_link(fn -> 42 end)
    [{plain, :waiting}, {timeout, :waiting}, {hibernated, :hibernated}, {agent, :waiting}, {integer, :waiting} | links()]
  end

  # The behaviour Connection: connected, disconnected with a backoff, with a timeout, hibernated, suspended.
  defp links do
    {:ok, plain} = link(:infinity, %{sock: :port, cursors: %{}})
    {:ok, named} = link(:infinity, {:a, "tuple"}, name: ElixirOtp.Named)
    {:ok, off} = link({:backoff, 1_000_000_000}, nil)
    {:ok, timeout} = link(1_000_000_000, [:with, "timeout"])
    {:ok, asleep} = link(:infinity, :before)
    :ok = GenServer.call(asleep, {:hibernate, %{state: :asleep}})
    {:ok, suspended} = link(:infinity, %{state: :suspended})
    :ok = :sys.suspend(suspended)
    for(pid <- [plain, named, off, timeout], do: {pid, :waiting}) ++ [{asleep, :hibernated}, {suspended, :suspended}]
  end

  defp link(how, state, opts \\ []), do: Connection.start_link(ElixirOtp.Link, {how, state}, opts)

  defp supervisors do
    {:ok, dynamic} = DynamicSupervisor.start_link(strategy: :one_for_one, name: ElixirOtp.Dynamic, max_restarts: 7, max_seconds: 60)
    for n <- 1..10, do: {:ok, _} = DynamicSupervisor.start_child(dynamic, {Server, state: n})
    {:ok, empty} = DynamicSupervisor.start_link(strategy: :one_for_one)
    {:ok, _} = DynamicSupervisor.start_child(dynamic, {DynamicSupervisor, strategy: :one_for_one, name: ElixirOtp.Nested})
    {:ok, tasks} = Task.Supervisor.start_link(name: ElixirOtp.Tasks)
    children = [Supervisor.child_spec({Agent, fn -> :child end}, id: :first), {Server, state: :second}]
    {:ok, supervisor} = Supervisor.start_link(children, strategy: :rest_for_one, name: ElixirOtp.Supervisor)
    {:ok, partitions} = PartitionSupervisor.start_link(child_spec: {Agent, fn -> :part end}, name: ElixirOtp.Partitions, partitions: 3)
    for pid <- [dynamic, empty, tasks, supervisor, partitions], do: {pid, :waiting}
  end

  defp children(pid) do
    %{
      pid: pid,
      children: for({id, child, type, _} <- gen(pid, :which_children), do: [{:w, id}, {:w, child}, type]),
      counts: Map.new(gen(pid, :count_children))
    }
  end

  defp gen(pid, question), do: GenServer.call(pid, question)

  defp tasks do
    sleep = fn -> Process.sleep(:infinity) end
    {:ok, linked} = Task.start_link(sleep)
    async = Task.async(sleep)
    supervised = Task.Supervisor.async_nolink(ElixirOtp.Tasks, Process, :sleep, [:infinity])
    [linked, async.pid, supervised.pid]
  end

  defp busy do
    {:ok, server} = server(state: %{busy: "server"})
    {:ok, agent} = Agent.start_link(fn -> %{busy: "agent"} end)
    {:ok, link} = link(:infinity, %{busy: "link"})
    before = for pid <- [server, agent, link], do: {pid, :sys.get_state(pid)}
    for pid <- [server, link], do: spawn(fn -> GenServer.call(pid, :busy, :infinity) end)
    spawn(fn -> Agent.get(agent, fn _ -> Process.sleep(:infinity) end, :infinity) end)
    wait(fn -> Enum.all?(before, fn {pid, _} -> Process.info(pid, :current_function) == {:current_function, {Process, :sleep, 1}} or
      match?({:current_function, {:timer, :sleep, 1}}, Process.info(pid, :current_function)) end) end)
    before
  end

  defp wait(condition) do
    if condition.() do
      :ok
    else
      Process.sleep(1)
      wait(condition)
    end
  end

  # ---- names ----

  defp names do
    {:ok, _} = :pg.start_link()
    {:ok, _} = :pg.start_link(:other_scope)
    {:ok, global} = server(name: {:global, {:global, "name"}})
    {:ok, other} = server(name: {:global, :global_atom})
    Process.register(hd(Port.list()), :elixir_otp_port)
    :ok = :pg.join({:group, 1}, [global, other, global])
    :ok = :pg.join(:group, self())
    :ok = :pg.join(:other_scope, "binary group", other)
    for name <- Process.registered(), do: [name, Process.whereis(name)]
  end

  # Whoever would take its names away is suspended.
  defp die(registries) do
    for registry <- registries, {_, pid, _, _} <- Supervisor.which_children(registry), do: :sys.suspend(pid)
    [{pid, _}] = Registry.lookup(ElixirOtp.Unique, {:user, 50})
    Process.unlink(pid)
    Process.exit(pid, :kill)
    wait(fn -> not Process.alive?(pid) end)
  end
end
