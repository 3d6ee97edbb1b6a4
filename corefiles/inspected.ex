# SPDX-License-Identifier: Apache-2.0
# Processes of libraries that inspectors know, without these: pools of NimblePool and connections of Redix.
#
# What goes wrong: one pool has everything checked out and callers that wait; one connection to Redis has many commands
# without a reply, one is disconnected.
#
# An analysis should say: `expect`, by process.

defmodule NimblePool do
  use GenServer

  def init(state), do: {:ok, state}
end

defmodule Redix.Connection do
  @behaviour :gen_statem
  defstruct [:opts, :transport, :socket_owner, :table, :socket, :backoff_current, :connected_address, counter: 0, client_reply: :on]

  def callback_mode, do: :handle_event_function

  def init({state, data, pending}) do
    table = :ets.new(:queue, [:ordered_set, :public])
    for i <- 1..pending//1, do: :ets.insert(table, {i, {self(), make_ref()}, 1, false})
    {:ok, state, %__MODULE__{data | table: table, opts: [password: "correct-horse-battery-staple"], counter: pending}}
  end

  def handle_event(_, _, _, _), do: :keep_state_and_data
end

defmodule Inspected do
  def start(_args) do
    pools = [pool(3, 0, 0, nil), pool(0, 2, 4, nil), pool(1, 1, 0, 5)]

    redix = [
      redix(:connected, 0, nil),
      redix(:connected, 2000, nil),
      redix(:disconnected, 0, 1500)
    ]

    %{rows: %{queue: {:sample, 1}}, expect: %{nimble_pool: pools, redix: redix}}
  end

  defp pool(idle, out, waiting, lazy) do
    requests =
      for(_ <- 1..out//1, do: {make_ref(), {self(), make_ref(), :state, :conn}}) ++
        for(_ <- 1..waiting//1, do: {make_ref(), {self(), make_ref(), :command, :checkout, :infinity}})

    waiters = for {ref, {pid, _, :command, _, _}} <- requests, do: {pid, ref}

    state = %{
      worker: Finch.HTTP1.Pool, queue: :queue.from_list(waiters), requests: Map.new(requests), monitors: %{},
      resources: :queue.from_list(for(i <- 1..idle//1, do: {{:conn, i}, nil})), async: %{}, state: nil, lazy: lazy,
      worker_idle_timeout: nil, max_idle_pings: -1
    }

    {_, {:ok, pid}} = :truth.hold(:undefined, fn -> GenServer.start_link(NimblePool, state) end)
    %{pid: pid, idle: idle, out: out, waiting: waiting, lazy: lazy || :undefined, suspicious: waiting > 0}
  end

  defp redix(state, pending, backoff) do
    data = %Redix.Connection{backoff_current: backoff, connected_address: backoff == nil && "redis.example.org:6379"}
    {_, {:ok, pid}} = :truth.hold(:undefined, fn -> :gen_statem.start_link(Redix.Connection, {state, data, pending}, []) end)
    suspicious = pending >= 1000 or state == :disconnected
    %{pid: pid, state: state, pending: pending, backoff_ms: backoff || :undefined, suspicious: suspicious}
  end
end
