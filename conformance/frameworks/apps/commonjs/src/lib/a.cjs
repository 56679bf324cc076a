exports.fromA = "a";
