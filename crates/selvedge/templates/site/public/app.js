const output = document.getElementById("cheers");

async function show(method) {
  const response = await fetch("/api/cheers", { method });
  output.textContent = response.ok ? (await response.json()).cheers : `error ${response.status}`;
}

document.getElementById("cheer").addEventListener("click", () => show("POST"));
await show("GET");
