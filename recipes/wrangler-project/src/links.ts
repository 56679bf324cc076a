interface LinkMetadata {
	createdAt: string;
	visits: number;
}

const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const SLUG_LENGTH = 7;

export async function createLink(request: Request, env: Env): Promise<Response> {
	let target: URL;
	try {
		const { url } = await request.json<{ url: string }>();
		target = new URL(url);
	} catch {
		return Response.json({ error: 'Send JSON with an absolute "url".' }, { status: 400 });
	}
	if (target.protocol !== 'https:' && target.protocol !== 'http:') {
		return Response.json({ error: 'Only http and https can be linked to.' }, { status: 400 });
	}

	const slug = randomSlug();
	const metadata: LinkMetadata = { createdAt: new Date().toISOString(), visits: 0 };
	await env.LINKS.put(slug, target.href, { metadata, expirationTtl: ttlSeconds(env) });

	const short = new URL(`/${slug}`, request.url).href;
	return Response.json({ slug, short, target: target.href }, { status: 201, headers: { Location: short } });
}

/** Redirects, or with a `+` behind the slug tells where it would. Null if there is no such link. */
export async function visitLink(slug: string, inspect: boolean, env: Env, ctx: ExecutionContext): Promise<Response | null> {
	const { value: target, metadata } = await env.LINKS.getWithMetadata<LinkMetadata>(slug);
	if (target === null) return null;
	if (inspect) return Response.json({ slug, target, ...metadata });

	// The visitor does not wait for the count.
	ctx.waitUntil(countVisit(slug, target, metadata, env));
	return Response.redirect(target, 302);
}

async function countVisit(slug: string, target: string, metadata: LinkMetadata | null, env: Env): Promise<void> {
	const counted: LinkMetadata = {
		createdAt: metadata?.createdAt ?? new Date().toISOString(),
		visits: (metadata?.visits ?? 0) + 1,
	};
	await env.LINKS.put(slug, target, { metadata: counted, expirationTtl: ttlSeconds(env) });
}

function ttlSeconds(env: Env): number {
	return env.LINK_TTL_DAYS * 24 * 60 * 60;
}

function randomSlug(): string {
	const bytes = crypto.getRandomValues(new Uint8Array(SLUG_LENGTH));
	return Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}
