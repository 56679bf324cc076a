//! URLs for the guest, by the WHATWG URL Standard: the `url` crate does the work, this is its
//! shape on the border. An answer is null, or eleven strings: href, origin, protocol, username,
//! password, host, hostname, port, pathname, search, hash.

use url::{Url, quirks};

use super::codec::Encoder;

pub fn parse(href: &str, base: Option<&str>, out: &mut Encoder) {
    let base = match base.map(Url::parse) {
        Some(Err(_)) => {
            out.null();
            return;
        }
        Some(Ok(base)) => Some(base),
        None => None,
    };
    match Url::options().base_url(base.as_ref()).parse(href) {
        Ok(url) => write(&url, out),
        Err(_) => {
            out.null();
        }
    }
}

/// Sets one field, as the setters of `URL` do. A value that the standard ignores changes nothing;
/// null only for a `href` that is no URL.
pub fn set(href: &str, field: &str, value: &str, out: &mut Encoder) {
    let Ok(mut url) = Url::parse(href) else {
        out.null();
        return;
    };
    match field {
        "href" => {
            if quirks::set_href(&mut url, value).is_err() {
                out.null();
                return;
            }
        }
        // What a setter refuses it ignores: the standard has no error here.
        "protocol" => drop(quirks::set_protocol(&mut url, value)),
        "username" => drop(quirks::set_username(&mut url, value)),
        "password" => drop(quirks::set_password(&mut url, value)),
        "host" => drop(quirks::set_host(&mut url, value)),
        "hostname" => drop(quirks::set_hostname(&mut url, value)),
        "port" => drop(quirks::set_port(&mut url, value)),
        "pathname" => quirks::set_pathname(&mut url, value),
        "search" => quirks::set_search(&mut url, value),
        "hash" => quirks::set_hash(&mut url, value),
        _ => {}
    }
    write(&url, out);
}

fn write(url: &Url, out: &mut Encoder) {
    out.array(11)
        .string(quirks::href(url))
        .string(&quirks::origin(url))
        .string(quirks::protocol(url))
        .string(quirks::username(url))
        .string(quirks::password(url))
        .string(quirks::host(url))
        .string(quirks::hostname(url))
        .string(quirks::port(url))
        .string(quirks::pathname(url))
        .string(quirks::search(url))
        .string(quirks::hash(url));
}
