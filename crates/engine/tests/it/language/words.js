// Short strings of JSON are shared between the places where they stand, and must not show it; names and values of all
// lengths; many objects that come and go at once. Run by the engine and by Node, which must agree.
let told;
const tell = (what) => told.push(what);
const sum = (text) => {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return `${text.length} ${hash}`;
};

function grown() {
  const list = JSON.parse('["a","a","ab","ab","","","é","é","a\\u0062","on"]');
  list[0] += "b";
  list[2] += "cdefghijklmnopqrstuvwxyz";
  list[6] += "x";
  let word = list[9];
  for (let i = 0; i < 40; i++) word += list[1];
  tell(JSON.stringify(list) + word);
  tell(JSON.stringify(JSON.parse('["on","off","on","no"]')));
}

function repeated() {
  const text = '{"k":"first","k":"second","k":"first","j":["first","second"],"__proto__":"first"}';
  const value = JSON.parse(text);
  tell(`${value.k} ${value.j} ${Object.keys(value)} ${JSON.stringify(value)}`);
  for (const broken of ['["aa","aa","a', '{"aa":"aa","bb":"aa"', '["aa" "aa"]', '["aa",aa]']) {
    try {
      JSON.parse(broken);
      tell("read");
    } catch (error) {
      tell(error.name);
    }
  }
}

function lengths() {
  const text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
  const object = {};
  for (let i = 0; i <= text.length; i++) object[text.slice(0, i)] = [text.slice(0, i), text.slice(i), i];
  const written = JSON.stringify(object);
  const read = JSON.parse(written);
  tell(sum(written));
  tell(sum(JSON.stringify(JSON.parse(JSON.stringify(read)))));
  // Names that differ in one place are not those of the shape that is known.
  for (let i = 0; i < 20; i++) {
    const other = text.slice(0, i) + "_" + text.slice(i + 1, 20);
    const pair = JSON.parse(`[{"${text.slice(0, 20)}":1},{"${other}":2},{"${other}":3}]`);
    tell(Object.keys(pair[1])[0] === other && pair[2][other] === 3 && pair[1][text.slice(0, 20)] === undefined);
  }
}

function names() {
  const object = { 'a"b': 1, "a\\b": 2, "a\nb": 3, "é": 4, "日": 5, "": 6, plain: 7, "\u0001": 8, "7": 9 };
  tell(JSON.stringify([object, object]));
  tell(JSON.stringify({ one: { 'x"': 1 }, two: { x: 2 }, three: { 'x"': 3 } }));
}

function many() {
  const items = [];
  for (let i = 0; i < 3000; i++) {
    items.push({ id: i, name: `name-${i}`, state: i % 3 ? "on" : "off", tags: ["a", `b${i % 7}`], at: { x: i / 2 } });
  }
  const text = JSON.stringify(items);
  for (let round = 0; round < 3; round++) {
    const read = JSON.parse(text);
    for (const item of read) item.state += item.tags[0];
    tell(sum(JSON.stringify(read)));
  }
}

export default {
  fetch() {
    told = [];
    grown();
    repeated();
    lengths();
    names();
    many();
    return new Response(told.join("\n"));
  },
};
