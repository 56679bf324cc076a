export default {
  fetch() {
    return fetch("http://ORIGIN/");
  },
};
