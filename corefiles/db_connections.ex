# SPDX-License-Identifier: Apache-2.0
# The processes, tables and structs that DBConnection and its drivers keep, without either: pools of database
# connections in every state, in the layout of one family of releases of db_connection.
#
# What goes wrong, in one pool each: streams leave their cursors behind (MyXQL up to 0.4.0) and reconnecting its query
# tables (up to 0.4.2); a cache of statements grows without bound; all connections are out and callers wait; a last
# result stays. The pool MyApp.Repo is healthy, with cursors in use on a connection that is checked out.
#
# An analysis should say: `expect`. `secret` is the password in the options of each pool, which nothing may show.
#
# --arg family=  "1.1"   up to 1.1.3: one process a connection, the state of a busy one is with its client
#                "2.0"   2.0.0 to 2.4.0: a table a connection, rows of 7 elements, processes of the library `connection`
#                "2.4"   2.4.1 to 2.4.3: `ts` in the row, a 4th element in the pool's state
#                "2.5"   2.5.0 to 2.10.0: gen_statem
#                "2.10"  from 2.10.1 (default): connected_at in the process and in the row
# --arg cursors=N  with family=1.1: of a connection that is idle, for measuring speed (default 0)
# --arg healthy=1  the pool MyApp.Repo only
#
# The modules below have the names of those that they stand for, and the functions in which those processes wait; what
# they do is only what makes the same structures.

defmodule DbConnections.Family do
  def get, do: :persistent_term.get(__MODULE__)
  def put(family), do: :persistent_term.put(__MODULE__, family)
  def statem?, do: get() in [:"2.5", :"2.10"]
end

defmodule DBConnection.Backoff do
  defstruct [:type, :min, :max, :state]

  def new, do: %__MODULE__{type: :rand_exp, min: 1000, max: 30_000, state: {1000, 333}}
end

defmodule DBConnection.Holder do
  alias DbConnections.Family

  def new(pool, ref, mod, state) do
    options = if Family.get() == :"2.10", do: [decentralized_counters: true], else: []
    holder = :ets.new(__MODULE__, [:public, :ordered_set | options])
    true = :ets.insert_new(holder, row(self(), mod, state))
    :ets.setopts(holder, {:heir, pool, ref})
    holder
  end

  # Element 5 is ts, later connected_at.
  defp row(connection, mod, state) do
    case Family.get() do
      :"2.0" -> {:conn, connection, mod, state, nil, nil, :ok}
      _ -> {:conn, connection, mod, state, nil, System.monotonic_time(), nil, :ok}
    end
  end

  def update(pool, ref, mod, state) do
    holder = new(pool, ref, mod, state)
    :ets.give_away(holder, pool, {:checkin, ref, checkin_time()})
    holder
  end

  # In milliseconds before 2.1.
  def checkin_time, do: if(Family.get() == :"2.0", do: System.monotonic_time(1000), else: System.monotonic_time())

  def checkout(pool, opts) do
    start = System.monotonic_time(1000)
    timeout = if opts[:timeout] != :infinity, do: start + opts[:timeout]
    checkout_call(pool, [self()], true, start, timeout)
  end

  defp checkout_call(pid, callers, queue?, start, timeout) do
    lock = Process.monitor(pid)
    send(pid, {:db_connection, {self(), lock}, {:checkout, callers, start, queue?}})

    receive do
      {:"ETS-TRANSFER", holder, pool, {^lock, ref, _checkin_time}} ->
        Process.demonitor(lock, [:flush])
        deadline = deadline(timeout, pool, ref, holder, start)
        :ets.update_element(holder, :conn, [{5, lock}, {deadline_position(), deadline}])
        [row] = :ets.lookup(holder, :conn)
        {:ok, {:pool_ref, pool, ref, deadline, holder, lock}, elem(row, 2), elem(row, 3)}

      {^lock, reply} ->
        Process.demonitor(lock, [:flush])
        {reply, timeout}
    end
  end

  defp deadline(nil, _pool, _ref, _holder, _start), do: nil

  defp deadline(timeout, pool, ref, holder, start) do
    :erlang.start_timer(timeout, pool, {ref, holder, self(), timeout - start}, abs: true)
  end

  defp deadline_position, do: if(Family.get() == :"2.0", do: 6, else: 7)

  def checkin({:pool_ref, pool, ref, deadline, holder, _lock}) do
    if deadline, do: :erlang.cancel_timer(deadline)
    :ets.update_element(holder, :conn, [{5, nil}, {deadline_position(), nil}])
    :ets.give_away(holder, pool, {:checkin, ref, checkin_time()})
  end

  def put_state({:pool_ref, _, _, _, holder, _}, state), do: :ets.update_element(holder, :conn, {4, state})

  # Calls the driver, and puts the state that it returns into the row.
  def handle({:pool_ref, _, _, _, holder, _}, fun, args) do
    [{:conn, _, module, state, _, _, _, _}] = for row <- :ets.lookup(holder, :conn), do: widened(row)
    result = apply(module, fun, args ++ [state])
    :ets.update_element(holder, :conn, {4, :erlang.element(:erlang.tuple_size(result), result)})
    result
  end

  defp widened({:conn, a, b, c, d, e, f}), do: {:conn, a, b, c, d, nil, e, f}
  defp widened(row), do: row
end

defmodule DBConnection.ConnectionPool do
  use GenServer
  alias DbConnections.Family
  alias DBConnection.Holder

  def start_link({mod, opts}), do: GenServer.start_link(__MODULE__, {mod, opts}, Keyword.take(opts, [:name]))

  def init({mod, opts}) do
    options = if Family.get() == :"2.10", do: [decentralized_counters: true], else: []
    queue = :ets.new(__MODULE__.Queue, [:protected, :ordered_set | options])

    {:ok, supervisor} =
      DynamicSupervisor.start_child(
        DBConnection.ConnectionPool.Supervisor,
        {DBConnection.ConnectionPool.Pool, {self(), queue, mod, opts}}
      )

    if Family.get() == :"2.10", do: Process.put({__MODULE__, :watcher_ref}, supervisor)
    {:ok, with_ts({:busy, queue, codel(opts)})}
  end

  defp codel(opts) do
    codel = %{
      target: opts[:queue_target] || 50,
      interval: opts[:queue_interval] || if(Family.get() == :"2.10", do: 2000, else: 1000),
      delay: 0,
      slow: false,
      next: System.monotonic_time(1000),
      poll: make_ref(),
      idle_interval: 1000,
      idle: make_ref()
    }

    if Family.get() == :"2.0", do: codel, else: Map.put(codel, :idle_limit, opts[:pool_size])
  end

  defp with_ts({status, queue, codel}) do
    case Family.get() do
      :"2.0" -> {status, queue, codel}
      :"2.10" -> {status, queue, codel, {nil, nil}}
      _ -> {status, queue, codel, {System.monotonic_time(), 0}}
    end
  end

  def handle_info({:db_connection, from, {:checkout, _callers, now, _queue?}} = checkout, state) do
    queue = elem(state, 1)

    case {elem(state, 0), :ets.first(queue)} do
      {:ready, {_time, holder} = key} ->
        {pid, mref} = from
        :ets.give_away(holder, pid, {mref, queue, elem(key, 0)})
        :ets.delete(queue, key)
        {:noreply, state}

      {:ready, :"$end_of_table"} ->
        handle_info(checkout, put_elem(state, 0, :busy))

      {:busy, _} ->
        :ets.insert(queue, {{now, System.unique_integer(), from}})
        {:noreply, state}
    end
  end

  def handle_info({:"ETS-TRANSFER", holder, _, {:checkin, queue, time}}, state) do
    # The real one serves who waits; here nobody does while connections are checked in.
    :ets.insert(queue, {{time, holder}})
    {:noreply, put_elem(state, 0, :ready)}
  end
end

defmodule DBConnection.ConnectionPool.Pool do
  use Supervisor, restart: :temporary

  def start_link(arg), do: Supervisor.start_link(__MODULE__, arg)

  def init({pool, tag, mod, opts}) do
    {plan, opts} = Keyword.pop(opts, :plan)

    children =
      for {how, index} <- Enum.with_index(plan, 1) do
        args = [mod, [pool_index: index] ++ opts, pool, tag, how]
        %{id: {mod, pool, index}, start: {DBConnection.Connection, :start_link, args}}
      end

    Supervisor.init(children, strategy: :one_for_one)
  end
end

# The library `connection`.
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
    {:ok, mod_state, backoff} = mod.init(args)
    :proc_lib.init_ack(starter, {:ok, self()})
    timer = if backoff, do: :erlang.start_timer(backoff, self(), __MODULE__)
    state = %__MODULE__{mod: mod, backoff: timer, mod_state: mod_state}

    if is_pid(name),
      do: :gen_server.enter_loop(__MODULE__, opts, state),
      else: :gen_server.enter_loop(__MODULE__, opts, state, name)
  end

  def init(_), do: {:stop, __MODULE__}

  def handle_cast(request, %{mod: mod, mod_state: mod_state} = s) do
    {:noreply, mod_state, how} = mod.handle_cast(request, mod_state)
    {:noreply, %{s | mod_state: mod_state}, how}
  end

  def handle_call(request, from, %{mod: mod, mod_state: mod_state} = s) do
    {:noreply, mod_state} = mod.handle_call(request, from, mod_state)
    {:noreply, %{s | mod_state: mod_state}}
  end

  def handle_info(message, %{mod: mod, mod_state: mod_state} = s) do
    {:noreply, mod_state} = mod.handle_info(message, mod_state)
    {:noreply, %{s | mod_state: mod_state}}
  end

  def terminate(_, _), do: :ok
end

# The process of a connection. `how` is {state, where}: the driver's state as of the last ping, and
# :pool, :closed (disconnected, with a backoff), :connecting or :after_connect.
defmodule DBConnection.Connection do
  alias DbConnections.Family
  alias DBConnection.{Backoff, Holder}

  @hour 3_600_000

  def start_link(mod, opts, pool, tag, how) do
    args = {mod, opts, pool, tag, how}

    if Family.statem?(),
      do: :gen_statem.start_link(__MODULE__, args, []),
      else: Connection.start_link(__MODULE__, args, [])
  end

  # Of 1.x: a pool of one connection, whose clients queue in its state. With poolboy or sbroker, one of several;
  # `info` are the pids of broker and regulator.
  def start_link(mod, opts, info \\ nil) do
    {how, opts} = Keyword.pop(opts, :plan)
    names = if opts[:pool_size] == 1, do: Keyword.take(opts, [:name]), else: []
    Connection.start_link(__MODULE__, {mod, opts, how, info}, names)
  end

  def callback_mode, do: :handle_event_function

  def init({mod, opts, {state, where}, info}) do
    s = %{
      mod: mod, opts: opts, state: nil, client: :closed, broker: nil, regulator: nil, lock: nil, queue: :queue.new(),
      timer: nil, backoff: Backoff.new(), after_connect: nil, after_connect_timeout: 15_000, idle: :passive,
      idle_timeout: 1000, idle_time: 0, after_timeout: :backoff
    }

    case {where, info} do
      {:closed, _} -> {:ok, s, backoff()}
      {:pool, nil} -> {:ok, %{s | state: state.(), client: nil}, nil}
      {:pool, {broker, regulator}} -> {:ok, bid(%{s | state: state.(), broker: broker, regulator: regulator, queue: :broker, lock: make_ref()}), nil}
    end
  end

  # :sbroker.async_ask_r/3
  defp bid(s) do
    ref = make_ref()
    send(s.broker, {:bid, {self(), ref}, {self(), s.mod, s.state}})
    %{s | client: {ref, :broker}}
  end

  # When it began is for the truth.
  defp backoff do
    :persistent_term.put({__MODULE__, self()}, System.monotonic_time(:nanosecond))
    @hour
  end

  def init({mod, opts, pool, tag, {state, where}}) do
    s = %{
      mod: mod, opts: opts, state: nil, client: :closed, pool: pool, tag: tag, timer: nil, backoff: Backoff.new(),
      after_connect: nil, after_connect_timeout: 15_000
    }

    # Both came in between: connection_listeners with 2.3.1.
    s = if Family.get() == :"2.0", do: s, else: Map.put(s, :connection_listeners, [])
    s = if Family.get() == :"2.10", do: Map.put(s, :connected_at, nil), else: s

    s =
      case where do
        :closed -> s
        :connecting -> %{s | state: state.(), client: {make_ref(), :connect}}
        :after_connect -> after_connect(%{s | state: state.()})
        :pool -> %{s | state: state.(), client: {make_ref(), :connect}}
      end

    s = if where != :closed and Map.has_key?(s, :connected_at), do: %{s | connected_at: System.monotonic_time()}, else: s
    backoff = if where == :closed, do: backoff()

    if where == :pool do
      if Family.statem?(), do: :gen_statem.cast(self(), :connected), else: GenServer.cast(self(), :connected)
    end

    cond do
      not Family.statem?() -> {:ok, s, backoff}
      backoff -> {:ok, :no_state, s, {{:timeout, :backoff}, backoff, nil}}
      true -> {:ok, :no_state, s}
    end
  end

  # The function of `after_connect` runs in a process of its own, which has a holder of its own.
  defp after_connect(s) do
    {pid, ref} = spawn_monitor(DBConnection.Task, :init, [self()])
    Holder.update(pid, ref, s.mod, s.state)
    timer = :erlang.start_timer(@hour, self(), {__MODULE__, pid, @hour})
    %{s | client: {ref, :after_connect}, timer: timer, after_connect: &DBConnection.Task.init/1}
  end

  def handle_event(:cast, :connected, :no_state, s), do: {:keep_state, to_pool(s), :hibernate}
  def handle_event(_, _, :no_state, _), do: :keep_state_and_data
  def handle_cast(:connected, s), do: {:noreply, to_pool(s), :hibernate}

  defp to_pool(s), do: %{s | client: {Holder.update(s.pool, s.tag, s.mod, s.state), :pool}}

  # 1.x: a client gets the state in the reply, and the process keeps what it had.
  def handle_call({:checkout, ref, _queue?, timeout}, {pid, _} = from, s) do
    client = {ref, Process.monitor(pid)}

    if s.client == nil do
      GenServer.reply(from, {:ok, {self(), ref}, s.mod, s.state})
      {:noreply, %{s | client: client, timer: start_timer(pid, timeout)}}
    else
      {:noreply, %{s | queue: :queue.in({client, timeout, from}, s.queue)}}
    end
  end

  # With sbroker, the broker has given the state away.
  def handle_info({ref, {:go, new, {pid, timeout}, _, _}}, %{client: {ref, :broker}} = s) do
    {:noreply, %{s | client: {new, Process.monitor(pid)}, timer: start_timer(pid, timeout)}}
  end

  def handle_info(_, s), do: {:noreply, s}

  defp start_timer(_, :infinity), do: nil
  defp start_timer(pid, timeout), do: :erlang.start_timer(timeout, self(), {__MODULE__, pid, timeout})
end

# The library sbroker, as the pool DBConnection.Sojourn of 1.x uses it; of 1.0.0.
defmodule :sbroker_gen do
  def init_it(starter, parent, name, behaviour, {mod, args}, _opts) do
    Process.put(:"$initial_call", {mod, :init, 1})
    behaviour.init_it(starter, parent, name, mod, args)
  end

  def call(process, label, message, timeout) do
    {:ok, reply} = :gen.call(process, label, message, timeout)
    reply
  end
end

defmodule :sbroker do
  require Record
  Record.defrecordp(:config, [:mod, :args, :parent, :dbg, :name, :ask_mod, :bid_mod])
  Record.defrecordp(:time, [:now, :send, :empty, :seq, :read_after, :meters, next: :infinity])

  def start_link(name, mod, args), do: :gen.start(:sbroker_gen, :link, name, __MODULE__, {mod, args}, [])
  def ask(broker, value), do: :sbroker_gen.call(broker, :ask, value, :infinity)

  def init_it(starter, parent, name, mod, args) do
    {:ok, {{ask_mod, ask_args}, {bid_mod, bid_args}, meters}} = mod.init(args)
    config = config(mod: mod, args: args, parent: parent, dbg: [], name: name, ask_mod: ask_mod, bid_mod: bid_mod)
    now = :erlang.monotonic_time()
    time = {:time, now, now, now, :infinity, 0, 16, meters}
    asks = ask_mod.init(:queue.new(), now, ask_args)
    bids = bid_mod.init(:queue.new(), now, bid_args)
    :proc_lib.init_ack(starter, {:ok, self()})
    idle_recv(:bidding, :infinity, time, asks, bids, config)
  end

  defp mark(time) do
    now = :erlang.monotonic_time()
    time |> put_elem(1, now) |> put_elem(2, now) |> put_elem(5, 0)
  end

  defp idle_recv(state, timeout, time, asks, bids, config) do
    receive do
      msg ->
        ntime = mark(time)
        handle(state, msg, ntime, asks, bids, :infinity, config)
    after
      timeout ->
        ntime = mark(time)
        handle(state, :timeout, ntime, asks, bids, :infinity, config)
    end
  end

  # Who asks gets what the first bid came with, and the other way round; else it waits.
  defp handle(state, {:ask, ask, value}, time, asks, bids, next, config(ask_mod: ask_mod, bid_mod: bid_mod) = config) do
    case bid_mod.handle_out(elem(time, 1), bids) do
      {:empty, bids} ->
        {asks, _} = ask_mod.handle_in(elem(time, 2), ask, value, elem(time, 1), asks)
        idle_recv(:asking, next, time, asks, bids, config)

      {_sent, bid, bid_value, ref, bids} ->
        :gen.reply(ask, {:go, ref, bid_value, 0, 0})
        :gen.reply(bid, {:go, ref, value, 0, 0})
        idle_recv(state, next, time, asks, bids, config)
    end
  end

  # No connection comes back here while a caller waits.
  defp handle(:bidding, {:bid, bid, value}, time, asks, bids, next, config(bid_mod: bid_mod) = config) do
    {bids, _} = bid_mod.handle_in(elem(time, 2), bid, value, elem(time, 1), bids)
    idle_recv(:bidding, next, time, asks, bids, config)
  end
end

for {module, fields} <- [
      sbroker_timeout_queue: [:out, :timeout, :drop, :min, :max, :timeout_next, :len, :queue],
      sbroker_codel_queue:
        [:out, :target, :interval, :drop, :min, :max, :count, :drop_next, :drop_first, :timeout_next, :len, :queue]
    ] do
  defmodule module do
    require Record
    Record.defrecordp(:state, fields)

    def init(queue, _now, spec), do: Enum.reduce(unquote(fields), {:state}, &Tuple.append(&2, initial(&1, queue, spec)))

    defp initial(:queue, queue, _), do: queue
    defp initial(:len, _, _), do: 0
    # Of native units.
    defp initial(key, _, spec) when key in [:timeout, :target, :interval], do: Map.get(spec, key, 0) * 1_000_000
    defp initial(key, _, spec), do: Map.get(spec, key, :infinity)

    def handle_in(sent, {pid, _} = from, value, _now, state(len: len, queue: queue) = s) do
      ref = Process.monitor(pid)
      {state(s, len: len + 1, queue: :queue.in({sent, from, value, ref}, queue)), :infinity}
    end

    def handle_out(_now, state(len: 0) = s), do: {:empty, s}

    def handle_out(_now, state(len: len, queue: queue) = s) do
      {{:value, {sent, from, value, ref}}, queue} = :queue.out(queue)
      Process.demonitor(ref, [:flush])
      {sent, from, value, ref, state(s, len: len - 1, queue: queue)}
    end
  end
end

defmodule DBConnection.Sojourn.Broker do
  def start_link(mod, opts), do: :sbroker.start_link({:local, opts[:name]}, __MODULE__, {__MODULE__, mod, opts})

  def init({_broker, mod, opts}) do
    {plan, opts} = Keyword.pop(opts, :plan)

    children =
      for {how, i} <- Enum.with_index(plan) do
        # One process stands for the regulator.
        args = [mod, [plan: how] ++ opts, {self(), Process.whereis(:init)}]
        %{id: i, start: {DBConnection.Connection, :start_link, args}}
      end

    {:ok, _} = Supervisor.start_link(children, strategy: :one_for_one)
    asks = %{out: :out, timeout: 5000, drop: :drop, min: 0, max: 1024, timeout_next: 0}
    bids = %{out: :out, target: 1000, interval: 100, drop: :drop, min: 0, max: :infinity, count: 0, drop_next: 0}
    {:ok, {{:sbroker_timeout_queue, asks}, {:sbroker_codel_queue, bids}, [{:sregulator_update_meter, [100]}]}}
  end
end

# The library poolboy, which most pools of 1.x use; its processes have the layout of 1.5.
defmodule :poolboy do
  use GenServer

  def start_link(mod, opts), do: GenServer.start_link(__MODULE__, {mod, opts}, name: opts[:name])

  def init({mod, opts}) do
    {plan, opts} = Keyword.pop(opts, :plan)

    children =
      for {how, i} <- Enum.with_index(plan), do: %{id: i, start: {DBConnection.Connection, :start_link, [mod, [plan: how] ++ opts]}}

    {:ok, supervisor} = Supervisor.start_link(children, strategy: :one_for_one)
    workers = for {_, pid, _, _} <- Supervisor.which_children(supervisor), do: pid
    monitors = :ets.new(:monitors, [:private])
    {:ok, {:state, supervisor, workers, :queue.new(), monitors, length(workers), 0, 0, :fifo}}
  end

  def handle_call({:checkout, cref, _block}, {pid, _} = from, state) do
    case elem(state, 2) do
      [worker | left] ->
        :ets.insert(elem(state, 4), {worker, cref, Process.monitor(pid)})
        {:reply, worker, put_elem(state, 2, left)}

      [] ->
        {:noreply, put_elem(state, 3, :queue.in({from, cref, Process.monitor(pid)}, elem(state, 3)))}
    end
  end
end

defmodule DBConnection.Task do
  def init(_parent) do
    receive do
      {:"ETS-TRANSFER", holder, _, {:checkin, _ref, _}} -> MyXQL.Client.com_query(holder, "SET time_zone = '+00:00'")
    end
  end
end

# The test sandbox: each owner of a connection has a proxy, which has the connection. From 2.0 on it has a holder of its
# own beside the real one; in 1.x it has the state itself, as the process of a connection does. Owners are known by
# their monitors only, before 2.0.6.
defmodule DBConnection.Ownership.Manager do
  use GenServer
  alias DBConnection.Ownership.{PoolSupervisor, Proxy}
  alias DbConnections.Family

  def start_link({mod, opts}), do: GenServer.start_link(__MODULE__, {mod, opts}, name: opts[:name])

  def init({mod, opts}) do
    ets = :ets.new(opts[:name], [:set, :named_table, :protected, read_concurrency: true])
    opts = Keyword.delete(opts, :name)

    if Family.get() == :"1.1" do
      {:ok, pool, owner_sup} = PoolSupervisor.start_pool(mod, opts)

      {:ok,
       %{pool: pool, owner_sup: owner_sup, checkouts: %{}, owners: %{}, mode: :manual, mode_ref: nil, ets: ets, log: nil}}
    else
      {:ok, pool} = DBConnection.ConnectionPool.start_link({mod, opts})
      state = %{pool: pool, checkouts: %{}, owners: %{}, mode: :manual, mode_ref: nil, ets: ets, log: nil}
      {:ok, if(Family.get() == :"2.0", do: state, else: Map.put(state, :checkout_opts, []))}
    end
  end

  def handle_call({:checkout, opts}, {caller, _}, state) do
    {:ok, proxy} = start_proxy(caller, opts, state)
    ref = Process.monitor(proxy)
    :ets.insert(state.ets, {caller, proxy})
    owners = Map.put(state.owners, ref, {proxy, caller, [caller]})
    checkouts = Map.put(state.checkouts, caller, {:owner, ref, proxy})
    {:reply, {:init, proxy}, %{state | owners: owners, checkouts: checkouts}}
  end

  def handle_call(:pool, _from, state), do: {:reply, state.pool, state}

  defp start_proxy(caller, opts, %{owner_sup: supervisor, pool: pool}) do
    start = {GenServer, :start_link, [Proxy, {self(), caller, pool, opts}]}
    DynamicSupervisor.start_child(supervisor, %{id: Proxy, start: start})
  end

  defp start_proxy(caller, opts, %{pool: pool}), do: GenServer.start_link(Proxy, {caller, pool, opts})
end

# 1.x: one such supervisor, which has one supervisor of each pool and of its proxies.
defmodule DBConnection.Ownership.PoolSupervisor do
  def start_pool(mod, opts) do
    {kind, opts} = Keyword.pop!(opts, :ownership_pool)

    children = [
      %{id: :pool, start: {kind, :start_link, [mod, opts]}},
      %{id: :owner_sup, start: {DynamicSupervisor, :start_link, [[strategy: :one_for_one]]}, type: :supervisor}
    ]

    start = {Supervisor, :start_link, [children, [strategy: :rest_for_one]]}
    {:ok, supervisor} = DynamicSupervisor.start_child(__MODULE__, %{id: __MODULE__, start: start})
    found = for {id, pid, _, _} <- Supervisor.which_children(supervisor), into: %{}, do: {id, pid}
    {:ok, found.pool, found.owner_sup}
  end
end

defmodule DBConnection.Ownership.Proxy do
  use GenServer
  alias DBConnection.Holder
  alias DbConnections.Family

  def init({_manager, caller, pool, opts}) do
    {:ok,
     %{
       client: nil, timer: nil, conn_state: nil, conn_module: nil, owner_ref: Process.monitor(caller), pool: pool,
       pool_mod: opts[:ownership_pool], pool_opts: [timeout: :infinity], pool_ref: nil, queue: :queue.new(),
       ownership_timer: nil
     }}
  end

  def init({caller, pool, opts}) do
    owner_ref = Process.monitor(caller)
    owner = if Family.get() == :"2.0", do: %{owner_ref: owner_ref}, else: %{owner: {caller, owner_ref}}

    state = %{
      client: nil, timer: nil, holder: nil, timeout: 100, interval: 1000, poll: make_ref(), pool: pool, pool_ref: nil,
      pool_opts: [timeout: :infinity], queue: :queue.new(), mod: nil,
      ownership_timer: start_timer(caller, opts[:ownership_timeout])
    }

    {:ok, Map.merge(state, owner)}
  end

  def handle_call({:init, timeout}, {pid, _}, %{pool: pool, pool_mod: pool_mod} = state) do
    {:ok, pool_ref, mod, conn_state} = checkout_from(pool_mod, pool)
    timer = start_timer(pid, timeout)
    {:reply, :ok, %{state | conn_state: conn_state, conn_module: mod, ownership_timer: timer, pool_ref: pool_ref}}
  end

  def handle_call({:checkout, ref, _queue?, timeout}, {pid, _} = from, state) do
    client = {ref, Process.monitor(pid)}

    case state do
      %{client: nil} ->
        GenServer.reply(from, {:ok, {self(), ref}, state.conn_module, state.conn_state})
        {:noreply, %{state | client: Tuple.insert_at(client, 0, pid), timer: start_timer(pid, timeout)}}

      _ ->
        {:noreply, %{state | queue: :queue.in({client, timeout, from}, state.queue)}}
    end
  end

  def handle_cast({:checkin, ref, conn_state}, %{client: {_, ref, mon}} = state) do
    Process.demonitor(mon, [:flush])
    :erlang.cancel_timer(state.timer)
    {:noreply, %{state | client: nil, timer: nil, conn_state: conn_state}}
  end

  # With poolboy, pool_ref names the worker twice.
  defp checkout_from(:poolboy, pool) do
    worker = GenServer.call(pool, {:checkout, make_ref(), true}, :infinity)
    {:ok, worker_ref, mod, state} = checkout_from(DBConnection.Connection, worker)
    {:ok, {pool, worker, worker_ref}, mod, state}
  end

  defp checkout_from(DBConnection.Connection, pool) do
    :gen_server.call(pool, {:checkout, make_ref(), true, :infinity}, :infinity)
  end

  def handle_info({:db_connection, from, {:checkout, _callers, now, _queue?}}, state) do
    case state do
      %{holder: nil} ->
        {:ok, pool_ref, mod, conn_state} = Holder.checkout(state.pool, timeout: :infinity)
        holder = Holder.new(self(), owner_ref(state), mod, conn_state)
        {:noreply, give(from, %{state | pool_ref: pool_ref, holder: holder, mod: mod})}

      %{client: nil} ->
        {:noreply, give(from, state)}

      _ ->
        {:noreply, %{state | queue: :queue.in({now, from}, state.queue)}}
    end
  end

  def handle_info({:"ETS-TRANSFER", _, _, {:checkin, _, _}}, state), do: {:noreply, %{state | client: nil}}

  defp owner_ref(%{owner: {_, ref}}), do: ref
  defp owner_ref(%{owner_ref: ref}), do: ref

  defp give({pid, ref}, state) do
    :ets.give_away(state.holder, pid, {ref, ref, nil})
    {:current_stacktrace, stack} = Process.info(pid, :current_stacktrace)
    %{state | client: {pid, ref, stack}}
  end

  defp start_timer(pid, timeout), do: :erlang.start_timer(timeout, self(), {__MODULE__, pid, timeout})
end

# The drivers: what their processes wait in, and a query as it is on the stack meanwhile.
defmodule MyXQL.Client do
  def com_stmt_execute(client, _statement_id, _params), do: receive(do: ({:never, ^client} -> :ok))
  def com_query(client, _statement), do: receive(do: ({:never, ^client} -> :ok))
end

defmodule MyXQL.Connection do
  def handle_execute(query, params, _opts, state) do
    result = MyXQL.Client.com_stmt_execute(client(state), query.statement_id, params)
    {:ok, query, result, state}
  end

  defp client(%{client: client}), do: client
  defp client(state), do: state
end

defmodule Postgrex.Protocol do
  def handle_execute(query, params, _opts, state) do
    result = receive(do: ({:never, ^params} -> :ok))
    {:ok, query, result, state}
  end
end

defmodule Mariaex.Protocol do
  defdelegate handle_execute(query, params, opts, state), to: Postgrex.Protocol
end

defmodule Tds.Protocol do
  defdelegate handle_execute(query, params, opts, state), to: Postgrex.Protocol
end

defmodule Exqlite.Connection do
  defdelegate handle_execute(query, params, opts, state), to: Postgrex.Protocol
end

# The structs, with the fields that they have in a release. Each function is called in the process of a connection, which
# so owns the table of queries; `n` tells connections apart.
defmodule DbConnections.Drivers do
  def myxql(release, n, cursors, options \\ []) do
    common = %{
      cursors: cursors(release, cursors), disconnect_on_error_codes: [:ER_MAX_PREPARED_STMT_COUNT_REACHED],
      ping_timeout: 15_000, prepare: :named, transaction_status: options[:transaction] || :idle
    }

    socket = {:gen_tcp, socket()}

    case release do
      "0.2.0" ->
        Map.merge(common, %{__struct__: MyXQL.Protocol, sock: socket, connection_id: n, prepared_statements: %{}})

      "0.2.9" ->
        Map.merge(common, %{__struct__: MyXQL.Connection, sock: socket, connection_id: n, queries: myxql_queries(options)})

      _ ->
        client = %{__struct__: MyXQL.Client, sock: socket, connection_id: n}
        fields = %{__struct__: MyXQL.Connection, client: client, queries: myxql_queries(options), last_ref: make_ref()}
        Map.merge(common, fields)
    end
  end

  # A reconnect made a table without deleting the one before.
  defp myxql_queries(options) do
    for _ <- 1..Keyword.get(options, :orphans, 0)//1, do: :ets.new(MyXQL.Connection, [:set, :public])
    table = :ets.new(MyXQL.Connection, [:set, :public])
    for i <- 1..Keyword.get(options, :queries, 3)//1, do: :ets.insert(table, {"ecto_#{i}", {i, i, make_ref()}})
    table
  end

  # {as declared, fetched from}
  def cursors(release, {params, column_defs}) do
    without_id = release in ["0.2.0", "0.2.9"]
    entry = fn kind, value, i -> if without_id, do: {kind, value}, else: {kind, value, i} end

    Map.new(
      for(i <- 1..params//1, do: {make_ref(), entry.(:params, [i, "a parameter"], i)}) ++
        for(i <- 1..column_defs//1, do: {make_ref(), entry.(:column_defs, column_defs(), i)})
    )
  end

  defp column_defs do
    [
      {:column_def, "id", :mysql_type_longlong, 20, 16_899, false},
      {:column_def, "name", :mysql_type_var_string, 1020, 4097, nil}
    ]
  end

  def mariaex(release, n, cursors) do
    lru = :ets.new(:cache, [:public])
    :ets.insert(lru, {:__counter__, 0})
    cache = :ets.new(:cache, [:public])

    state = %{
      __struct__: Mariaex.Protocol, sock: {Mariaex.Connection.Tcp, socket()}, state: :running, state_data: nil,
      deprecated_eof: true, binary_as: nil, connection_id: self(), opts: [], catch_eof: false, buffer: "", timeout: 5000,
      lru_cache: {100, lru}, cache: cache, cursors: mariaex_cursors(release, cursors), seqnum: n, json_library: Poison,
      ssl_conn_state: :not_used
    }

    if release == "0.9.1", do: Map.merge(state, %{datetime: :structs, transaction_status: :idle}), else: state
  end

  def mariaex_cursors("0.8.4", {_, n}), do: Map.new(1..n//1, fn _ -> {make_ref(), [{:column, "id"}, {:column, "name"}]} end)

  def mariaex_cursors("0.9.1", {first, halt}) do
    Map.new(
      for(i <- 1..first//1, do: {make_ref(), {:first, i, ["a parameter"]}}) ++
        for(i <- 1..halt//1, do: {make_ref(), {:halt, i, [{:column, "id"}]}})
    )
  end

  def postgrex(release, n, options \\ []) do
    table = :ets.new(Postgrex.Protocol, [:set, :public])

    for i <- 1..Keyword.get(options, :queries, 3)//1 do
      # With the query when it was prepared with cache: :statement.
      row = {"ecto_#{i}", make_ref()}
      :ets.insert(table, if(rem(i, 100) == 1, do: Tuple.append(row, query(Postgrex.Query, i)), else: row))
    end

    state = %{
      __struct__: Postgrex.Protocol, sock: {:gen_tcp, socket()}, connection_id: n, connection_key: 7 * n,
      peer: {{127, 0, 0, 1}, 5432}, types: {Postgrex.DefaultTypes, make_ref()}, null: nil, timeout: 15_000,
      parameters: make_ref(), queries: table, postgres: options[:postgres] || :idle, transactions: :naive,
      buffer: options[:buffer] || :active_once
    }

    if release == "0.13.5" do
      state
    else
      Map.merge(state, %{
        ping_timeout: 15_000, disconnect_on_error_codes: [], scram: nil, disable_composite_types: false,
        messages: Enum.map(1..Keyword.get(options, :messages, 0)//1, &{:msg_notify, &1})
      })
    end
  end

  def tds(n, options) do
    %{
      __struct__: Tds.Protocol, sock: {:gen_tcp, socket()}, usock: nil, itcp: n, opts: options[:opts], state: :ready,
      result: options[:result], query: options[:query], transaction: options[:transaction],
      env: %{trans: <<0>>, savepoint: 0, collation: nil, packetsize: 4096}
    }
  end

  def exqlite(n) do
    %{
      __struct__: Exqlite.Connection, db: make_ref(), default_transaction_mode: :deferred, directory: nil,
      path: "/var/lib/my_app/#{n}.db", transaction_status: :idle, status: :idle, chunk_size: nil, before_disconnect: nil
    }
  end

  # No driver that etp knows: what grows in it is told by its size.
  def other(n) do
    %{
      __struct__: MyApp.Driver, sock: socket(), id: n, pending: Map.new(1..1200, &{&1, n}), log: :binary.copy("line ", 13_200),
      jobs: {Enum.map(1..1650, &{&1, n}), []}, last: [n], opts: %{}
    }
  end

  def query(struct, i) do
    common = %{
      __struct__: struct, name: "ecto_#{i}", ref: make_ref(), cache: :reference,
      statement: "SELECT u0.`id`, u0.`name` FROM `users` AS u0 WHERE (u0.`id` > #{i})"
    }

    case struct do
      MyXQL.Query -> Map.merge(common, %{num_params: 1, statement_id: i})
      _ -> Map.merge(common, %{param_oids: [20], columns: ["id", "name"], result_oids: [20, 1043], types: nil})
    end
  end

  # No socket is needed: a port that lives as long as the VM stands for it.
  defp socket, do: hd(:erlang.ports())
end

# Who uses connections. What a client does is decided by the connection that it gets.
defmodule DbConnections.Client do
  alias DBConnection.Holder

  # A client tells when it asks, and for how long it wants the connection, and then what it has got.
  def use(pool, plans, timeout, parent) do
    send(parent, {self(), :asks, System.monotonic_time(:nanosecond), timeout})
    {:ok, pool_ref, _mod, state} = Holder.checkout(pool, timeout: timeout)
    [row] = :ets.lookup(elem(pool_ref, 4), :conn)
    plan = Map.get(plans, elem(row, 1)) || Map.fetch!(plans, :any)
    Holder.put_state(pool_ref, plan.live.(state))
    send(parent, {self(), elem(row, 1), plan.then})

    case plan.then do
      :checkin -> Holder.checkin(pool_ref)
      :query -> Holder.handle(pool_ref, :handle_execute, [plan.query, [1], []])
      :stream -> each_row(pool_ref, plan.query)
    end
  end

  # A consumer that is slower than its stream.
  def each_row(pool_ref, query) do
    receive do: (:next_row -> :ok)
    {pool_ref, query}
  end

  # 1.x: the state is in the client's dictionary meanwhile.
  def use_old(connection, plans, timeout, parent) do
    send(parent, {self(), :asks, System.monotonic_time(:nanosecond), timeout})
    {:ok, pool_ref, mod, state} = :gen_server.call(connection, {:checkout, make_ref(), true, timeout}, :infinity)
    have_old(pool_ref, mod, state, plans, parent)
  end

  # Of poolboy: a worker, which is a connection.
  def use_worker(poolboy, plans, timeout, parent) do
    worker = GenServer.call(poolboy, {:checkout, make_ref(), true}, :infinity)
    use_old(worker, plans, timeout, parent)
  end

  def use_sojourn(broker, plans, timeout, parent) do
    send(parent, {self(), :asks, System.monotonic_time(:nanosecond), timeout})
    {:go, ref, {pid, mod, state}, _, _} = :sbroker.ask(broker, {self(), timeout})
    have_old({pid, ref}, mod, state, plans, parent)
  end

  defp have_old({connection, _} = pool_ref, mod, state, plans, parent) do
    plan = Map.fetch!(plans, connection)
    conn_ref = make_ref()
    conn = %{__struct__: DBConnection, pool_mod: DBConnection.Connection, pool_ref: pool_ref, conn_mod: mod, conn_ref: conn_ref}
    Process.put({DBConnection, conn_ref}, {if(plan.then == :stream, do: :transaction, else: :idle), plan.live.(state)})
    send(parent, {self(), connection, plan.then})

    case plan.then do
      :query -> {mod.handle_execute(plan.query, [1], [], state), conn}
      :stream -> each_row(conn, plan.query)
      :checkin -> check_in_old(conn)
    end
  end

  defp check_in_old(%{pool_ref: {pool, ref}, conn_ref: conn_ref}) do
    {_, state} = Process.delete({DBConnection, conn_ref})
    GenServer.cast(pool, {:checkin, ref, state})
  end
end

defmodule DbConnections do
  alias DbConnections.{Client, Drivers, Family}

  @secret "correct-horse-battery-staple"

  def start(args) do
    family = args |> Map.get(:family, '2.10') |> List.to_atom()
    Family.put(family)
    :persistent_term.put({__MODULE__, :cursors}, Map.get(args, :cursors, 0))
    releases = releases(family)
    for {app, vsn} <- releases, do: :ok = load(app, vsn)
    {:ok, _} = detached(fn -> DynamicSupervisor.start_link(name: supervisor(family), strategy: :one_for_one) end)
    pools = if Map.has_key?(args, :healthy), do: [healthy(family)], else: pools(family)
    started = Enum.map(pools, &start_pool/1)

    %{
      rows: %{DBConnection.Holder => {:sample, 0}, Postgrex.Protocol => {:sample, 10}},
      expect: %{
        family: family,
        releases: Map.new(releases, fn {app, vsn} -> {app, {:text, vsn}} end),
        secret: {:text, @secret},
        pools: List.flatten(started),
        parts: parts()
      },
      before_dump: timers_left()
    }
  end

  # Bytes of each field of the states in holders, and how many elements it has.
  defp parts do
    for table <- :ets.all(), :ets.info(table, :name) == DBConnection.Holder, row <- :ets.lookup(table, :conn), {name, value} <- Map.to_list(elem(row, 3)) do
      %{connection: elem(row, 1), name: name, count: count_of(value), bytes: 8 * :erts_debug.flat_size(value) + off_heap(value)}
    end
  end

  defp count_of(value) when is_map(value), do: map_size(value)
  defp count_of(value) when is_tuple(value), do: tuple_size(value)
  defp count_of(value) when is_list(value), do: length(value)
  defp count_of(_), do: :undefined

  # A binary of more than 64 bytes is; none of these states has one twice.
  defp off_heap(value) when is_list(value), do: Enum.sum(Enum.map(value, &off_heap/1))
  defp off_heap(value) when is_tuple(value), do: off_heap(Tuple.to_list(value))
  defp off_heap(value) when is_map(value), do: off_heap(Map.to_list(value))
  defp off_heap(value) when is_binary(value) and byte_size(value) > 64, do: byte_size(value)
  defp off_heap(_), do: 0

  # What is left of deadlines, and of backoffs of the library `connection`, right before the dump.
  defp timers_left do
    holders = for t <- :ets.all(), :ets.info(t, :name) == DBConnection.Holder, row <- :ets.lookup(t, :conn), do: elem(row, tuple_size(row) - 2)
    connections = if Family.statem?(), do: [], else: states(DBConnection.Connection)
    own = for %Connection{backoff: backoff, mod_state: s} <- connections, ref <- [backoff, s.timer], do: ref
    proxies = for s <- states(DBConnection.Ownership.Proxy), ref <- [s.timer, s.ownership_timer], do: ref
    refs = for ref <- holders ++ own ++ proxies, is_reference(ref), do: ref
    fn -> File.write!("truth.jsonl", Enum.map(refs, &:truth_json.line(left(&1))), [:append]) end
  end

  defp states(module) do
    for pid <- Process.list(), {^module, :init, 1} <- [:proc_lib.translate_initial_call(pid)], do: :sys.get_state(pid)
  end

  defp left(ref) do
    before = System.monotonic_time(:nanosecond)
    left = :erlang.read_timer(ref)
    %{kind: :timer, ref: ref, left: left, before: before, after: System.monotonic_time(:nanosecond)}
  end

  defp releases(:"1.1"), do: [db_connection: '1.1.3', mariaex: '0.8.4', postgrex: '0.13.5']
  defp releases(:"2.0"), do: [db_connection: '2.0.5', mariaex: '0.9.1', myxql: '0.2.9']
  defp releases(:"2.4"), do: [db_connection: '2.4.3', myxql: '0.4.0']
  defp releases(:"2.5"), do: [db_connection: '2.5.0', myxql: '0.6.1']

  defp releases(:"2.10"),
    do: [db_connection: '2.10.2', ecto_sql: '3.12.1', exqlite: '0.39.0', myxql: '0.8.0', postgrex: '0.22.2', tds: '2.3.7']

  defp load(app, vsn), do: :application.load({:application, app, [vsn: vsn, modules: [], registered: [], applications: []]})

  defp supervisor(:"1.1"), do: DBConnection.Ownership.PoolSupervisor
  defp supervisor(_), do: DBConnection.ConnectionPool.Supervisor

  @nothing %{cursors: {0, 0}, queries: 0, orphans: 0}

  # ---- pools -------------------------------------------------------------------------------------------------

  defp pools(:"1.1") do
    [
      healthy(:"1.1"),
      pool(MyApp.Idle, Mariaex.Protocol, [conn(maria("0.8.4", {0, :persistent_term.get({__MODULE__, :cursors})}), :idle)]),
      pool(MyApp.Busy, Postgrex.Protocol, [conn(pg("0.13.5"), :query)], waiting: 3),
      pool(MyApp.Down, Mariaex.Protocol, [conn(none(), :closed)]),
      pool(MyApp.Boy, Mariaex.Protocol, for(_ <- 1..2, do: conn(maria("0.8.4", {0, 1}), :stream, add: {0, 2})), poolboy: true, waiting: 4),
      pool(MyApp.Streams, Mariaex.Protocol, [conn(maria("0.8.4", {0, 2}), :stream, add: {0, 5})]),
      pool(MyApp.Sojourn, Postgrex.Protocol, [conn(pg("0.13.5"), :query), conn(pg("0.13.5"), :stream)], sojourn: true, forever: 2, waiting: 6),
      pool(MyApp.Calm, Mariaex.Protocol, [conn(maria("0.8.4", {0, 0}), :stream, add: {0, 1}), conn(maria("0.8.4", {0, 0}), :idle), conn(maria("0.8.4", {0, 0}), :idle)], sojourn: true),
      pool(MyApp.Sandbox, Mariaex.Protocol, for(_ <- 1..4, do: conn(maria("0.8.4", {0, 1}), :idle)), owners: 3, kind: :poolboy, waiting: 2),
      pool(MyApp.Single, Mariaex.Protocol, [conn(maria("0.8.4", {0, 0}), :idle)], owners: 1, kind: DBConnection.Connection)
    ]
  end

  defp pools(:"2.0") do
    [
      healthy(:"2.0"),
      pool(MyApp.Legacy, MyXQL.Connection, leaking("0.2.9"), leak: "0.4.1"),
      pool(MyApp.Old, MyXQL.Protocol, [conn(my("0.2.0", {1, 40}), :idle)], leak: "0.4.1"),
      exhausted("0.2.9"),
      down("0.2.9"),
      pool(MyApp.Sandbox, Mariaex.Protocol, for(_ <- 1..3, do: conn(maria("0.9.1", {0, 0}), :idle)), owners: 2)
    ]
  end

  defp pools(:"2.4") do
    [healthy(:"2.4"), pool(MyApp.Legacy, MyXQL.Connection, leaking("0.4.0"), leak: "0.4.1"), exhausted("0.4.0"), down("0.4.0")]
  end

  defp pools(:"2.5"), do: [healthy(:"2.5"), exhausted("0.6.1"), down("0.6.1")]

  defp pools(:"2.10") do
    [
      healthy(:"2.10"),
      exhausted("0.8.0"),
      down("0.8.0"),
      pool(MyApp.Pg, Postgrex.Protocol, [conn(pg("0.22.2", queries: 6000), :idle), conn(pg("0.22.2", buffer: large(), messages: 1200), :idle)]),
      pool(MyApp.Other, MyApp.Driver, [conn({&Drivers.other/1, @nothing}, :idle)]),
      pool(MyApp.Mssql, Tds.Protocol, [conn(tds(tds_options()), :idle)]),
      pool(MyApp.Lite, Exqlite.Connection, [conn(exqlite(), :idle)]),
      pool(MyApp.Shards, MyXQL.Connection, [conn(my("0.8.0", {0, 0}), :idle), conn(my("0.8.0", {0, 0}), :idle)], partitions: 2),
      pool(MyApp.Sandbox, MyXQL.Connection, for(_ <- 1..3, do: conn(my("0.8.0", {0, 0}), :idle)), owners: 2)
    ]
  end

  # Two idle, one that runs a query, one in the middle of three streams.
  defp healthy(:"1.1") do
    pool(MyApp.Repo, Mariaex.Protocol, [conn(maria("0.8.4", {0, 0}), :stream, add: {0, 3})], healthy: true)
  end

  defp healthy(:"2.0"), do: pool(MyApp.Repo, Mariaex.Protocol, healthy_conns(&maria("0.9.1", &1)), healthy: true)
  defp healthy(:"2.4"), do: pool(MyApp.Repo, MyXQL.Connection, healthy_conns(&my("0.4.0", &1)), healthy: true)
  defp healthy(:"2.5"), do: pool(MyApp.Repo, MyXQL.Connection, healthy_conns(&my("0.6.1", &1)), healthy: true)
  defp healthy(:"2.10"), do: pool(MyApp.Repo, MyXQL.Connection, healthy_conns(&my("0.8.0", &1)), healthy: true)

  defp healthy_conns(driver) do
    none = driver.({0, 0})
    [conn(none, :query), conn(none, :stream, add: {1, 2}), conn(none, :idle), conn(none, :idle)]
  end

  # What the process had at the last ping, and what has come since.
  defp leaking(release) do
    [
      conn(my(release, {5, 10}, orphans: 4), :idle, add: {1, 84}),
      conn(my(release, {0, 0}), :idle, add: {0, 7}),
      conn(my(release, {2, 2}), :stream, add: {0, 40}),
      conn(my(release, {0, 1}, orphans: 2), :query),
      conn(my(release, {3, 0}), :idle)
    ]
  end

  defp exhausted(release) do
    none = my(release, {0, 0}, transaction: :transaction)
    pool(MyApp.Busy, MyXQL.Connection, [conn(none, :query), conn(none, :query)], waiting: 5, forever: 2)
  end

  defp down(release) do
    none = my(release, {0, 0})
    pool(MyApp.Down, MyXQL.Connection, [conn(none(), :closed), conn(none(), :closed), conn(none, :connecting), conn(none, :after_connect)])
  end

  # A driver is a function that makes the state of its Nth connection, and what is in that.
  defp my(release, cursors, options \\ []) do
    facts = %{cursors: cursors, queries: if(release == "0.2.0", do: 0, else: 3), orphans: options[:orphans] || 0}
    {fn i -> Drivers.myxql(release, i, cursors, options) end, facts}
  end

  defp maria(release, cursors), do: {&Drivers.mariaex(release, &1, cursors), %{cursors: cursors, queries: 0, orphans: 0}}

  defp pg(release, options \\ []) do
    {&Drivers.postgrex(release, &1, options), %{cursors: {0, 0}, queries: options[:queries] || 3, orphans: 0}}
  end

  defp tds(options), do: {&Drivers.tds(&1, options), @nothing}
  defp exqlite, do: {&Drivers.exqlite/1, @nothing}
  defp none, do: {nil, @nothing}

  defp large, do: :binary.copy("row ", 10_000)
  defp tds_options, do: [opts: options(1), result: [[1, large()]], query: "SELECT report FROM reports"]

  defp conn({driver, facts}, then, options \\ []), do: %{driver: driver, facts: facts, then: then, add: options[:add] || {0, 0}}
  defp pool(name, mod, conns, options \\ []), do: %{name: name, mod: mod, conns: conns, options: options}

  defp options(size) do
    [hostname: "db.example.org", username: "app", password: @secret, database: "app", pool_size: size, queue_target: 100]
  end

  # ---- 2.x ---------------------------------------------------------------------------------------------------

  # The pool of a repo has no name of its own; its supervisor has.
  defp start_pool(%{name: name, mod: mod} = pool) do
    if Family.get() == :"1.1", do: start_old(pool), else: start_new(pool, name, mod)
  end

  defp start_new(pool, name, mod) do
    how = for {conn, i} <- Enum.with_index(pool.conns, 1), do: {conn.driver && fn -> conn.driver.(i) end, where(conn.then)}
    opts = [plan: how] ++ options(length(how))

    cond do
      partitions = pool.options[:partitions] ->
        spec = %{id: mod, start: {DBConnection.ConnectionPool, :start_link, [{mod, opts}]}}
        partitioned = {PartitionSupervisor, name: Module.concat(name, PartitionSupervisor), child_spec: spec, partitions: partitions}
        {:ok, _} = detached(fn -> Supervisor.start_link([partitioned], strategy: :one_for_one, name: name) end)
        parts = for {_, pid, _, _} <- PartitionSupervisor.which_children(Module.concat(name, PartitionSupervisor)), do: pid
        for pid <- parts, do: of_pool(pid, pool, nil)

      owners = pool.options[:owners] ->
        {:ok, manager} = detached(fn -> DBConnection.Ownership.Manager.start_link({mod, [name: name] ++ opts}) end)
        of_pool(GenServer.call(manager, :pool), pool, {manager, owners})

      true ->
        spec = %{id: mod, start: {DBConnection.ConnectionPool, :start_link, [{mod, opts}]}}
        {:ok, supervisor} = detached(fn -> Supervisor.start_link([spec], strategy: :one_for_one, name: name) end)
        [{_, pid, _, _}] = Supervisor.which_children(supervisor)
        of_pool(pid, pool, nil)
    end
  end

  defp where(then) when then in [:closed, :connecting, :after_connect], do: then
  defp where(_), do: :pool

  # The parent of what Fun starts sleeps for ever.
  defp detached(fun) do
    {_, result} = :truth.hold(:undefined, fun)
    result
  end

  defp of_pool(pid, pool, ownership) do
    queue = elem(:sys.get_state(pid), 1)
    connected = Enum.count(pool.conns, &(where(&1.then) == :pool))
    wait(fn -> :ets.info(queue, :size) == connected end)
    plans = Map.new(connections(pid), fn {i, conn} -> {conn, plan(Enum.at(pool.conns, i - 1), i)} end)
    used = if ownership, do: own(ownership, nil), else: use_all(pid, plans, connected, pool)
    waiters = waiters(pool, &Client.use(pid, plans, 15_000, &1))
    wait(fn -> length(waiters) == 0 or :ets.info(queue, :size) == length(waiters) end)

    %{
      pid: pid,
      name: pool.name,
      module: pool.mod,
      leak: {:text, pool.options[:leak] || ""},
      healthy: pool.options[:healthy] || false,
      waiting: waiters,
      waits_since: Enum.map(waiters, &asked_at/1),
      owners: if(ownership, do: elem(ownership, 1), else: 0),
      connections: for({i, conn} <- connections(pid), do: truth(conn, Enum.at(pool.conns, i - 1), used))
    }
  end

  defp connections(pool) do
    for {_, supervisor, _, _} <- DynamicSupervisor.which_children(DBConnection.ConnectionPool.Supervisor),
        {{_, ^pool, i}, conn, _, _} <- Supervisor.which_children(supervisor),
        do: {i, conn}
  end

  defp plan(conn, i) do
    then = if conn.then == :idle, do: :checkin, else: conn.then
    %{then: then, live: &with_cursors(&1, conn.add), query: Drivers.query(MyXQL.Query, i)}
  end

  defp with_cursors(state, {0, 0}), do: state

  defp with_cursors(%{__struct__: Mariaex.Protocol} = state, add) do
    release = if Map.has_key?(state, :datetime), do: "0.9.1", else: "0.8.4"
    %{state | cursors: Map.merge(state.cursors, Drivers.mariaex_cursors(release, add))}
  end

  defp with_cursors(state, add) do
    release = if Map.has_key?(state, :client), do: "0.4.0", else: "0.2.9"
    %{state | cursors: Map.merge(state.cursors, Drivers.cursors(release, add))}
  end

  # Each connection in the pool is checked out once, the first that came first.
  defp use_all(pid, plans, connected, pool) do
    for n <- 1..connected//1, into: %{} do
      parent = self()
      # Times of the queue are in milliseconds in 2.0, and which is first must be sure.
      Process.sleep(2)
      client = spawn(fn -> Client.use(pid, plans, timeout(pool, n), parent) end)
      asked(client)

      receive do
        {^client, conn, :checkin} ->
          wait(fn -> not Process.alive?(client) end)
          :sys.get_state(pid)
          {conn, nil}

        {^client, conn, _} ->
          {conn, client}
      end
    end
  end

  # Milliseconds for which the Nth client may have its connection.
  defp timeout(pool, n), do: if(pool.options[:forever] == n, do: :infinity, else: n * 3_600_000)

  # When a client asked, and its timeout, are for the truth.
  defp asked(client) do
    receive do
      {^client, :asks, at, timeout} -> Process.put({:asked, client}, {at, timeout})
    end

    client
  end

  defp asked_at(client), do: client |> asked_with() |> elem(0)
  defp asked_with(client), do: Process.get({:asked, client}, {:undefined, :undefined})

  defp waiters(pool, use) do
    parent = self()
    for _ <- 1..Keyword.get(pool.options, :waiting, 0)//1, do: asked(spawn(fn -> use.(parent) end))
  end

  # Owners of the sandbox: the first one lets another process use its connection, with a cursor; that of the second was
  # used before, and that of a third never.
  defp own({manager, owners}, how) do
    parent = self()

    for i <- 1..owners, into: %{} do
      owner = spawn(fn -> owner(manager, how, i * 3_600_000, parent) end)
      asked(owner)
      proxy = receive(do: ({^owner, :owns, proxy} -> proxy))
      used = Map.merge(%{proxy: proxy, owner: owner, client: nil}, if(i < 3, do: use_proxy(proxy, i, parent), else: %{}))
      {connection(:sys.get_state(proxy)), used}
    end
  end

  defp owner(manager, how, timeout, parent) do
    send(parent, {self(), :asks, System.monotonic_time(:nanosecond), timeout})
    {:init, proxy} = GenServer.call(manager, {:checkout, [ownership_pool: how, ownership_timeout: timeout]})
    if how, do: :ok = GenServer.call(proxy, {:init, timeout}, :infinity)
    send(parent, {self(), :owns, proxy})
    receive(do: (:done -> :ok))
  end

  defp use_proxy(proxy, i, parent) do
    then = if i == 1, do: :stream, else: :checkin
    plan = %{then: then, live: &with_cursors(&1, {1, 1}), query: Drivers.query(MyXQL.Query, i)}
    use = if Family.get() == :"1.1", do: &Client.use_old/4, else: &Client.use/4
    key = if Family.get() == :"1.1", do: proxy, else: :any
    client = asked(spawn(fn -> use.(proxy, %{key => plan}, 7_200_000, parent) end))
    receive(do: ({^client, _, ^then} -> :ok))
    if then == :checkin, do: wait(fn -> not Process.alive?(client) end)
    %{client: if(then == :stream, do: client)}
  end

  # The connection that a proxy has.
  defp connection(%{pool_ref: {:pool_ref, _, _, _, holder, _}}), do: elem(hd(:ets.lookup(holder, :conn)), 1)
  defp connection(%{pool_ref: {_pool, worker, {worker, _}}}), do: worker
  defp connection(%{pool_ref: {connection, _}}), do: connection

  # Of a connection that a proxy has, what the VM says: the cursors of its client if it has one, else those that the proxy
  # has, and what the proxy or, from 2.0 on, the pool's holder has beside.
  defp copies(%{proxy: proxy, client: client}) do
    state = :sys.get_state(proxy)

    case state do
      %{pool_ref: {:pool_ref, _, _, _, real, _}, holder: own} -> {in_holder(own), in_holder(real)}
      %{conn_state: mine} when client == nil -> {count(mine), nil}
      %{conn_state: mine} -> {count(in_dictionary(client)), count(mine)}
    end
  end

  defp in_holder(holder), do: count(elem(hd(:ets.lookup(holder, :conn)), 3))

  defp in_dictionary(client) do
    {:dictionary, dictionary} = Process.info(client, :dictionary)
    hd(for {{DBConnection, _}, {_, state}} <- dictionary, do: state)
  end

  # {as declared, fetched from}
  defp count(%{cursors: cursors}) do
    declared = Enum.count(cursors, fn {_, entry} -> is_tuple(entry) and elem(entry, 0) in [:params, :first] end)
    {declared, map_size(cursors) - declared}
  end

  # What an analysis should say of a connection. `live` and `stale` are {as declared, fetched from}; `stale` is the copy
  # in its process, `between` the one in the pool's holder or, in 1.x, in the proxy.
  defp truth(pid, conn, used) do
    {stale_params, stale_defs} = stale = conn.facts.cursors
    {add_params, add_defs} = conn.add
    live = {stale_params + add_params, stale_defs + add_defs}

    proxied = if is_map(used[pid]), do: used[pid], else: %{proxy: :undefined, owner: :undefined}
    {proxys, between} = if is_map(used[pid]), do: copies(proxied), else: {nil, nil}

    {status, client, live, stale} =
      case {conn.then, used[pid]} do
        {:closed, _} -> {:disconnected, nil, nil, nil}
        {:connecting, _} -> {:connecting, nil, stale, nil}
        {:after_connect, _} -> {:after_connect, nil, stale, stale}
        {_, %{client: client}} -> {:checked_out, client, proxys, stale}
        {:idle, _} -> {:idle, nil, live, stale}
        # 1.x: the process has the state when nobody else does.
        {_, client} -> {:checked_out, client, live, stale}
      end

    {asked, timeout} = asked_with(client)
    {owned, ownership_timeout} = asked_with(proxied.owner)

    %{
      asked: asked, timeout: timeout, closed: :persistent_term.get({DBConnection.Connection, pid}, :undefined),
      pid: pid, status: status, client: client || :undefined, proxy: proxied.proxy, owner: proxied.owner, owned: owned,
      ownership_timeout: ownership_timeout, live: live || :undefined, between: between || :undefined,
      stale: stale || :undefined, queries: conn.facts.queries, orphans: conn.facts.orphans
    }
  end

  # ---- 1.x ---------------------------------------------------------------------------------------------------

  defp start_old(%{options: [{:owners, owners}, {:kind, kind} | _]} = pool) do
    how = for {conn, i} <- Enum.with_index(pool.conns, 1), do: {fn -> conn.driver.(i) end, :pool}
    plan = if kind == :poolboy, do: how, else: hd(how)
    opts = [plan: plan, name: pool.name, ownership_pool: kind] ++ options(length(how))
    {:ok, manager} = detached(fn -> DBConnection.Ownership.Manager.start_link({pool.mod, opts}) end)
    pid = GenServer.call(manager, :pool)
    conns = if kind == :poolboy, do: workers(pid), else: [pid]
    used = own({manager, owners}, kind)
    busy = for %{client: client, proxy: proxy} <- Map.values(used), client, do: proxy
    waiters = waiters(pool, &Client.use_old(hd(busy), %{}, 15_000, &1))
    for waiter <- waiters, do: wait(fn -> Process.info(waiter, :status) == {:status, :waiting} end)
    old_truth(pid, pool, Enum.zip(conns, pool.conns), used, waiters, owners)
  end

  defp start_old(%{options: [{kind, true} | _]} = pool) when kind in [:poolboy, :sojourn] do
    how = for {conn, i} <- Enum.with_index(pool.conns, 1), do: {fn -> conn.driver.(i) end, :pool}
    opts = [plan: how, name: pool.name] ++ options(length(how))
    start = if kind == :poolboy, do: &:poolboy.start_link/2, else: &DBConnection.Sojourn.Broker.start_link/2
    {:ok, pid} = detached(fn -> start.(pool.mod, opts) end)
    conns = workers(pid)
    plans = Map.new(Enum.zip(conns, plans_old(pool)))
    used = for {%{then: then}, n} <- Enum.with_index(pool.conns, 1), then != :idle, into: %{}, do: use_pool(kind, pid, plans, timeout(pool, n))

    waiters =
      if kind == :poolboy do
        for _ <- 1..pool.options[:waiting], do: spawn(fn -> Client.use_worker(pid, plans, 15_000, nil) end)
      else
        waiters(pool, &Client.use_sojourn(pid, plans, 15_000, &1))
      end

    for waiter <- waiters, do: wait(fn -> Process.info(waiter, :status) == {:status, :waiting} end)

    old_truth(pid, pool, Enum.zip(conns, pool.conns), used, waiters, 0)
  end

  # A pool is a connection.
  defp start_old(pool) do
    for {{conn, i}, plan} <- Enum.zip(Enum.with_index(pool.conns, 1), plans_old(pool)) do
      how = {conn.driver && fn -> conn.driver.(i) end, where(conn.then)}
      opts = [plan: how, name: pool.name] ++ options(1)
      {:ok, pid} = detached(fn -> DBConnection.Connection.start_link(pool.mod, opts) end)
      parent = self()
      plans = %{pid => plan}

      client =
        if conn.then in [:query, :stream] do
          client = asked(spawn(fn -> Client.use_old(pid, plans, timeout(pool, i), parent) end))
          receive(do: ({^client, _, _} -> client))
        end

      waiters = waiters(pool, &Client.use_old(pid, plans, 15_000, &1))
      for waiter <- waiters, do: wait(fn -> Process.info(waiter, :status) == {:status, :waiting} end)

      old_truth(pid, pool, [{pid, conn}], %{pid => client}, waiters, 0)
    end
  end

  defp old_truth(pid, pool, conns, used, waiters, owners) do
    %{
      pid: pid, name: pool.name, module: pool.mod, leak: {:text, ""}, healthy: pool.options[:healthy] || false,
      waiting: waiters, waits_since: Enum.map(waiters, &asked_at/1), owners: owners,
      connections: for({pid, conn} <- conns, do: truth(pid, conn, used))
    }
  end

  defp plans_old(pool) do
    for {conn, i} <- Enum.with_index(pool.conns, 1), do: %{plan(conn, i) | query: Drivers.query(Postgrex.Query, i)}
  end

  # Connections in the order of the pool's plan: those of a supervisor that the pool is the parent of.
  defp workers(pool) do
    {:links, links} = Process.info(pool, :links)

    supervisors =
      for pid <- links, is_pid(pid), {:dictionary, d} <- [Process.info(pid, :dictionary)], match?({:supervisor, _, _}, d[:"$initial_call"]), do: pid

    [supervisor] = for pid <- supervisors, {_, _, _, [DBConnection.Connection]} <- Supervisor.which_children(pid), uniq: true, do: pid
    Enum.sort(for {i, pid, _, _} <- Supervisor.which_children(supervisor), do: {i, pid}) |> Enum.map(&elem(&1, 1))
  end

  # Clients get their connections one after the other.
  defp use_pool(kind, pool, plans, timeout) do
    parent = self()
    use = if kind == :poolboy, do: &Client.use_worker/4, else: &Client.use_sojourn/4
    client = asked(spawn(fn -> use.(pool, plans, timeout, parent) end))
    receive(do: ({^client, conn, _} -> {conn, client}))
  end

  defp wait(done, tries \\ 500)
  defp wait(_, 0), do: raise("it did not happen")

  defp wait(done, tries) do
    unless done.() do
      Process.sleep(10)
      wait(done, tries - 1)
    end
  end
end
