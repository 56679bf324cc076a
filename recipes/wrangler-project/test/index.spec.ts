import { env, createExecutionContext, waitOnExecutionContext, SELF } from 'cloudflare:test';
import { describe, it, expect } from 'vitest';
import worker from '../src/index';

const IncomingRequest = Request<unknown, IncomingRequestCfProperties>;

async function shorten(url: string): Promise<string> {
	const response = await SELF.fetch('https://example.com/api/links', {
		method: 'POST',
		headers: { 'content-type': 'application/json' },
		body: JSON.stringify({ url }),
	});
	expect(response.status).toBe(201);
	return ((await response.json()) as { slug: string }).slug;
}

describe('short links', () => {
	it('tells its name (unit style)', async () => {
		const request = new IncomingRequest('http://example.com/api/site');
		const ctx = createExecutionContext();
		const response = await worker.fetch(request, env, ctx);
		await waitOnExecutionContext(ctx);
		expect(await response.json()).toEqual({ name: 'Short links', ttlDays: 30 });
	});

	it('leads to the target (integration style)', async () => {
		const slug = await shorten('https://example.com/a/long/way');
		const visit = await SELF.fetch(`https://example.com/${slug}`, { redirect: 'manual' });
		expect(visit.status).toBe(302);
		expect(visit.headers.get('location')).toBe('https://example.com/a/long/way');
	});

	it('counts a visit after the answer', async () => {
		const slug = await shorten('https://example.com/a/long/way');
		const ctx = createExecutionContext();
		await worker.fetch(new IncomingRequest(`https://example.com/${slug}`), env, ctx);
		await waitOnExecutionContext(ctx);
		const about = await SELF.fetch(`https://example.com/${slug}+`);
		expect(await about.json()).toMatchObject({ visits: 1 });
	});

	it('refuses what is no web address', async () => {
		const response = await SELF.fetch('https://example.com/api/links', {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify({ url: 'javascript:alert(1)' }),
		});
		expect(response.status).toBe(400);
	});
});
