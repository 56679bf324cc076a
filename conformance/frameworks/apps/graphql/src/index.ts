import { GraphQLEnumType, GraphQLID, GraphQLInt, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString, buildSchema, graphql, introspectionFromSchema, lexicographicSortSchema, parse, print, printSchema, subscribe, validate, visit } from "graphql";

const Role = new GraphQLEnumType({ name: "Role", values: { READER: { value: 1 }, WRITER: { value: 2, deprecationReason: "write less" } } });
const people = [{ id: "1", name: "Ada", role: 1, friends: ["2"] }, { id: "2", name: "Grace", role: 2, friends: ["1"] }];
const Person: GraphQLObjectType = new GraphQLObjectType({
  name: "Person",
  fields: () => ({
    id: { type: new GraphQLNonNull(GraphQLID) },
    name: { type: GraphQLString },
    role: { type: Role },
    friends: { type: new GraphQLList(Person), resolve: async (person) => people.filter((other) => person.friends.includes(other.id)) },
    fails: { type: GraphQLString, resolve: () => { throw new Error("as planned"); } },
  }),
});
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: "Query",
    fields: {
      person: { type: Person, args: { id: { type: new GraphQLNonNull(GraphQLID) } }, resolve: (_, { id }) => people.find((person) => person.id === id) },
      people: { type: new GraphQLNonNull(new GraphQLList(Person)), args: { first: { type: GraphQLInt, defaultValue: 10 } }, resolve: (_, { first }) => people.slice(0, first) },
    },
  }),
  mutation: new GraphQLObjectType({ name: "Mutation", fields: { rename: { type: Person, args: { id: { type: GraphQLID }, name: { type: GraphQLString } }, resolve: (_, { id, name }) => ({ ...people.find((person) => person.id === id), name }) } } }),
  subscription: new GraphQLObjectType({
    name: "Subscription",
    fields: { ticks: { type: GraphQLInt, subscribe: async function* () { for (let i = 0; i < 3; i++) yield { ticks: i }; } } },
  }),
});
const built = buildSchema(`type Query { a(x: Input!): String! } input Input { b: Int = 3, c: [String!] } interface Node { id: ID! } directive @tag(name: String) on FIELD`);

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/schema") return new Response(printSchema(lexicographicSortSchema(schema)) + "\n" + printSchema(built));
    if (pathname === "/introspection") return Response.json(introspectionFromSchema(schema));
    const { query, variables, operationName } = (await request.json()) as any;
    if (pathname === "/print") return new Response(print(visit(parse(query), { Field: { enter: (node) => ({ ...node, alias: undefined }) } })));
    if (pathname === "/validate") return Response.json(validate(schema, parse(query)));
    if (pathname === "/subscribe") {
      const events = (await subscribe({ schema, document: parse(query) })) as AsyncIterable<unknown>;
      const list: unknown[] = [];
      for await (const event of events) list.push(event);
      return Response.json(list);
    }
    return Response.json(await graphql({ schema, source: query, variableValues: variables, operationName }));
  },
};
