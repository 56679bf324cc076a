import { createLink, visitLink } from './links';

export default {
	async fetch(request, env, ctx): Promise<Response> {
		const url = new URL(request.url);

		if (url.pathname === '/api/site' && request.method === 'GET') {
			return Response.json({ name: env.SITE_NAME, ttlDays: env.LINK_TTL_DAYS });
		}

		if (url.pathname === '/api/links') {
			if (request.method !== 'POST') {
				return new Response('Method Not Allowed', { status: 405, headers: { Allow: 'POST' } });
			}
			return createLink(request, env);
		}

		const slug = url.pathname.match(/^\/([a-z0-9]{7})(\+?)$/);
		if (slug) {
			const response = await visitLink(slug[1], slug[2] === '+', env, ctx);
			if (response) return response;
		}

		const page = await env.ASSETS.fetch(new URL('/404', url));
		return new Response(page.body, { status: 404, headers: page.headers });
	},
} satisfies ExportedHandler<Env>;
