exports.at = "late";
