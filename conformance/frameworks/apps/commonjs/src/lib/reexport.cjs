module.exports = { ...require("./a.cjs"), data: require("./data.json") };
