# SPDX-License-Identifier: Apache-2.0
# The terms of an Elixir system, in an ETS table and in the state of an Agent-like process.
#
# What goes wrong: nothing. This is the workload for whoever prints terms as inspect/2 does; the truth has both that and
# Erlang's "~w" of each row.
#
# An analysis should say: nothing suspicious.
#
# Rows with the label :derived are inspected by code of this module, which no debugger can run.
#
# Table :elixir_terms    {n, label, term}, ordered by n
# :elixir_terms_holder   a process with the same terms in its dictionary

defmodule ElixirTerms.Address do
  defstruct [:street, :city, country: "CH"]
end

defmodule ElixirTerms.User do
  defstruct [:name, :email, :address, age: 0, roles: [], meta: %{}]
end

defmodule ElixirTerms.Secret do
  # Its inspect hides a field, which a debugger cannot know: it prints all of them.
  @derive {Inspect, except: [:password]}
  defstruct [:login, :password]
end

defmodule ElixirTerms.Empty do
  defstruct []
end

defmodule ElixirTerms.Error do
  defexception [:message, code: 500]
end

defmodule ElixirTerms do
  alias ElixirTerms.{Address, Empty, Error, Secret, User}

  def start(_args) do
    :truth.hold(:elixir_terms_owner, fn ->
      :ets.new(:elixir_terms, [:named_table, :public, :ordered_set])
      :ets.insert(:elixir_terms, numbered())
      :ok
    end)

    rows = :ets.tab2list(:elixir_terms)
    :truth.hold(:elixir_terms_holder, fn -> Enum.each(rows, fn {n, _, term} -> Process.put(n, term) end) end)
    %{rows: %{elixir_terms: :full}}
  end

  defp numbered do
    all = [
      atom: atoms(),
      string: strings(),
      bitstring: bitstrings(),
      number: numbers(),
      list: lists(),
      keyword: keywords(),
      tuple: tuples(),
      map: maps(),
      struct: structs(),
      derived: derived(),
      calendar: calendar(),
      collection: collections(),
      exception: exceptions(),
      function: functions(),
      identifier: identifiers(),
      wide: wide()
    ]

    terms = for {label, terms} <- all, term <- terms, do: {label, term}
    for {{label, term}, n} <- Enum.with_index(terms, 1), do: {n, label, term}
  end

  defp atoms do
    [
      nil,
      true,
      false,
      :ok,
      :"foo bar",
      :"",
      Foo,
      Foo.Bar,
      :"Elixir.foo",
      :"Elixir.Foo.bar baz",
      :"Elixir",
      :"Elixir",
      :"Elixir.",
      ElixirTerms,
      :+,
      :-,
      :*,
      :/,
      :==,
      :!=,
      :"=>",
      :->,
      :|>,
      :<>,
      :++,
      :--,
      :..,
      :"..//",
      :%,
      :%{},
      :{},
      :<<>>,
      :"[]",
      :&,
      :&&,
      :||,
      :|||,
      :!,
      :^,
      :@,
      :"::",
      :.,
      :when,
      :and,
      :or,
      :not,
      :in,
      :fn,
      :do,
      :end,
      :a?,
      :b!,
      :a@b,
      :_,
      :_a,
      :A,
      :"1a",
      :"a-b",
      :é,
      :été,
      :日本,
      :λ,
      :"a\nb",
      :"a\"b",
      :"a'b",
      :"a\\b",
      :"\#{a}",
      :"a.b",
      :"\0",
      :"😀",
      :"foo?!",
      :"node@host.example",
      :ALL_CAPS,
      :camelCase,
      :~>,
      :<<~,
      :"^^^",
      :"//",
      :"not in",
      :"\u200B",
      :"e\u0301"
    ]
  end

  defp strings do
    [
      "",
      "hello",
      "h\"e\\l'lo",
      "line\nbreak\ttab\e\0\a\b\d\f\r\v",
      "été",
      "日本語",
      "😀",
      "e\u0301",
      "\u200B",
      "\u00A0",
      "\u{10FFFF}",
      "\uFEFF",
      "\u0080",
      "\u202E",
      "\uE000",
      "\#{not} interpolated",
      "a#b",
      "\#{",
      "#",
      <<255>>,
      <<0>>,
      <<127>>,
      <<"abc", 255>>,
      <<195, 40>>,
      <<237, 160, 128>>,
      "tab\t",
      String.duplicate("long ", 60),
      String.duplicate("ü", 200),
      :binary.list_to_bin(Enum.to_list(0..255)),
      Enum.join(32..126, ","),
      "👨‍👩‍👧",
      "\u0301",
      "ASCII then \xff raw"
    ]
  end

  defp bitstrings do
    big = :binary.list_to_bin(for n <- 1..300, do: rem(n * 7, 256))
    <<_::3, odd::bitstring-size(1001), _::bitstring>> = big
    [<<1::1>>, <<0::1>>, <<5::3>>, <<1, 2, 3::5>>, <<"ab", 1::1>>, <<0::63>>, odd, big, binary_part(big, 10, 100)]
  end

  defp numbers do
    [
      0,
      -1,
      1_000_000,
      -9_999_999_999_999_999_999_999,
      Integer.pow(2, 300),
      0.0,
      -0.0,
      1.0,
      0.1,
      1.0e10,
      1.0e15,
      1.0e16,
      1.0e21,
      1.0e22,
      123_456_789_012_345_680.0,
      1.0e-5,
      0.0001,
      1.0e100,
      5.0e-324,
      1.7976931348623157e308,
      3.14159,
      100.0,
      9_007_199_254_740_992.0,
      1.5e300
    ]
  end

  defp lists do
    [
      [],
      [1, 2, 3],
      [1 | 2],
      [1, 2 | :c],
      'charlist',
      'with \'quote\' and "double"',
      'newline\n',
      '\#{x}',
      'é',
      [0],
      [7, 8, 9, 10, 11, 12, 13, 27],
      [127],
      [32],
      Enum.to_list(32..126),
      ['a', 'b'],
      ["a", "b"],
      [[[]]],
      [nil, true, :a, "s", 1.5],
      Enum.to_list(1..100),
      [97, 98 | 99],
      [97, :b],
      [97 | "x"],
      [{1, 2}, {:a, 1}],
      [[], '', ""]
    ]
  end

  defp keywords do
    [
      [a: 1],
      [a: 1, b: 2],
      ["foo bar": 1, ok: 2],
      [{:a, 1}, {"b", 2}],
      [{:a, 1} | :tail],
      [nil: 1, true: 2],
      [a: [b: [c: 1]]],
      [+: 1, "a-b": 2, a?: 3, Foo: 4],
      [{Foo, 1}],
      [{:a, 1, 2}],
      [do: 1, else: 2],
      [{nil, 1}],
      [é: 1, 日本: 2, A: 3, _x: 4, "": 5, a@b: 6, "1": 7, ..: 8, ==: 9],
      {:ok, [a: 1]},
      [:x, a: 1]
    ]
  end

  defp tuples do
    [
      {},
      {1},
      {:ok, "value"},
      {:error, %Error{message: "x"}},
      {{}, {{}}},
      List.to_tuple(Enum.to_list(1..60)),
      {:a, [b: 1]},
      {Foo, :bar, 3},
      {nil, nil}
    ]
  end

  defp maps do
    [
      %{},
      %{a: 1},
      %{a: 1, b: 2},
      %{"a" => 1},
      %{1 => 2, :a => 3, "b" => 4, nil => 5, [1] => 6, {1} => 7, 1.5 => 8},
      %{nil: 1},
      %{"foo bar": 1},
      %{Foo => 1, a: 2},
      %{a: %{b: %{c: %{}}}},
      %{%{a: 1} => %{}},
      Map.new(1..32, &{&1, &1}),
      Map.new(1..33, &{&1, &1}),
      Map.new(1..150, &{"key#{&1}", &1}),
      Map.new(1..40, &{:"key#{&1}", [v: &1]}),
      %{__struct__: 1},
      %{__struct__: NotLoaded, a: 1},
      %{__struct__: Address, city: "only"},
      %{__struct__: "Foo"},
      %{__exception__: true, message: "no"},
      %{a: 'char', b: "bin"},
      %{+: 1, "a-b": 2, A: 3}
    ]
  end

  defp structs do
    address = %Address{street: "Bahnhofstrasse 1", city: "Zürich"}

    user = %User{
      name: "Ada",
      email: "ada@example.com",
      address: address,
      age: 36,
      roles: [:admin, :staff],
      meta: %{"k" => [1, 2]}
    }

    [
      address,
      user,
      %User{},
      %Empty{},
      {:state, user, [address, address]},
      %{user: user, friends: [user, user]},
      [user: user],
      %Task{pid: self(), ref: make_ref(), owner: self(), mfa: {Foo, :bar, 1}},
      %File.Stat{size: 1}
    ]
  end

  defp derived do
    [%Secret{login: "bob", password: "hunter2"}]
  end

  defp calendar do
    [
      ~D[2024-02-29],
      ~D[0000-01-01],
      ~D[-0044-03-15],
      %Date{year: 12345, month: 6, day: 7},
      ~T[23:59:59],
      ~T[12:34:56.789],
      ~T[00:00:00.000001],
      ~N[2024-02-29 23:59:59],
      ~N[2024-02-29 23:59:59.123456],
      ~U[2024-02-29 23:59:59Z],
      ~U[2024-02-29 23:59:59.5Z],
      %DateTime{
        year: 2024,
        month: 7,
        day: 1,
        hour: 12,
        minute: 0,
        second: 0,
        microsecond: {0, 0},
        zone_abbr: "CEST",
        time_zone: "Europe/Zurich",
        utc_offset: 3600,
        std_offset: 3600
      },
      %DateTime{
        year: 2024,
        month: 7,
        day: 1,
        hour: 12,
        minute: 0,
        second: 0,
        microsecond: {1200, 6},
        zone_abbr: "EST",
        time_zone: "America/New_York",
        utc_offset: -18000,
        std_offset: 0
      },
      Date.range(~D[2024-01-01], ~D[2024-01-31]),
      %Date{calendar: Calendar.ISO, year: 2024, month: 13, day: 77}
    ]
  end

  defp collections do
    [
      MapSet.new(),
      MapSet.new([1, 2, 3]),
      MapSet.new(1..50),
      MapSet.new([:a, "b", [c: 1]]),
      1..10,
      10..1,
      1..10//3,
      10..1//-2,
      0..0,
      1..0//1,
      Stream.map([1], & &1),
      Stream.cycle([1]),
      %Stream{enum: [1], funs: []},
      Version.parse!("1.2.3-rc.1+build"),
      Version.parse_requirement!("~> 1.2"),
      URI.parse("https://user@example.com:8080/path?q=1#frag"),
      URI.parse(""),
      ~r/foo.*bar/,
      ~r/a\/b/i,
      ~r/^é+$/u,
      ~r{slash/es}x,
      Regex.compile!("new\nline"),
      Regex.compile!("", [:caseless, :multiline]),
      IO.stream(:stdio, :line),
      File.stream!("no such file")
    ]
  end

  defp exceptions do
    [
      %RuntimeError{message: "oops"},
      %ArgumentError{},
      %KeyError{key: :a, term: %{b: 1}},
      %Error{message: "custom", code: 404},
      %MatchError{term: {:error, 1}},
      %FunctionClauseError{module: Foo, function: :bar, arity: 2},
      %UndefinedFunctionError{module: Foo, function: :bar, arity: 0},
      %Protocol.UndefinedError{protocol: Enumerable, value: 1},
      {:EXIT, {%RuntimeError{message: "x"}, [{Foo, :bar, 2, [file: 'lib/foo.ex', line: 3]}]}}
    ]
  end

  defp functions do
    x = 42

    [
      fn -> :ok end,
      fn a -> a + x end,
      fn _, _ -> {x, x} end,
      &String.upcase/1,
      &Kernel.+/2,
      &:lists.map/2,
      &:erlang.+/2,
      &ElixirTerms.start/1,
      &(&1 + 1),
      Function.capture(Foo, :"weird name", 2),
      Function.capture(Foo, :a?, 0),
      &:"odd module".fun/1
    ]
  end

  defp identifiers do
    [
      self(),
      make_ref(),
      hd(Port.list()),
      :ets.new(:unnamed, [:public]),
      :erlang.binary_to_term(<<131, 88, 119, 3, "x@y", 7::32, 0::32, 1::32>>),
      :erlang.binary_to_term(<<131, 89, 119, 3, "x@y", 7::32, 1::32>>),
      :erlang.binary_to_term(<<131, 90, 3::16, 119, 3, "x@y", 1::32, 1::32, 2::32, 3::32>>)
    ]
  end

  # Values that do not fit in a line of 80 columns.
  defp wide do
    user = %User{
      name: "Grace Brewster Murray Hopper",
      email: "grace.hopper@example.com",
      roles: [:admiral, :computer_scientist, :author]
    }

    [
      Enum.map(1..12, &{&1, "value number #{&1}"}),
      Enum.map(1..8, &[id: &1, name: "name #{&1}", tags: ["a", "b"]]),
      %{users: [user, user], total: 2, next_page: "https://example.com/users?page=2&per_page=50"},
      {:reply, {:ok, %{id: 123_456, inserted_at: ~N[2024-01-01 00:00:00], items: Enum.to_list(1..40)}},
       %{queue: [], timer: nil}},
      [a_long_keyword_name: String.duplicate("x", 40), another_long_keyword: String.duplicate("y", 40)],
      %{String.duplicate("k", 50) => String.duplicate("v", 50), "short" => 1},
      [String.duplicate("wide ", 30) | String.duplicate("tail ", 30)],
      {user},
      %{user => user},
      Enum.to_list(1000..1060),
      String.to_charlist(String.duplicate("charlist ", 20)),
      MapSet.new(Enum.map(1..20, &"member #{&1}")),
      [%{a: [%{b: [%{c: Enum.to_list(1..30)}]}]}],
      Enum.map(1..3, fn _ -> {:error, %RuntimeError{message: String.duplicate("failed ", 15)}} end)
    ]
  end
end
