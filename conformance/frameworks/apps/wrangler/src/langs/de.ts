export default { hello: "Hallo" };
