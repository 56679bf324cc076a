const form = document.getElementById('form');
const result = document.getElementById('result');

form.addEventListener('submit', async (event) => {
	event.preventDefault();
	const response = await fetch('/api/links', {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify({ url: form.elements.url.value }),
	});
	const answer = await response.json();
	if (!response.ok) {
		result.textContent = answer.error;
		return;
	}
	const link = document.createElement('a');
	link.href = link.textContent = answer.short;
	result.replaceChildren(link);
});

const site = await (await fetch('/api/site')).json();
document.title = document.getElementById('name').textContent = site.name;
