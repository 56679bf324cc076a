//! What the listener that a request came by has to say about it, before and after everything else:
//! whether it belongs on HTTPS, and which fields every answer carries. Pure decisions.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use ipnet::IpNet;
use net::tls::Challenges;
use net::{NameMap, Request};

/// Where requests in the clear are sent.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// The port of the listener with TLS.
    pub port: u16,
    pub hosts: NameMap<()>,
}

/// RFC 6797: for so long, clients are to use nothing but HTTPS.
#[derive(Debug, Clone)]
pub struct Hsts {
    value: HeaderValue,
    hosts: NameMap<()>,
}

impl Hsts {
    pub fn new(max_age_s: u64, include_subdomains: bool, preload: bool, hosts: NameMap<()>) -> Self {
        let subdomains = if include_subdomains { "; includeSubDomains" } else { "" };
        let preload = if preload { "; preload" } else { "" };
        let value = HeaderValue::try_from(format!("max-age={max_age_s}{subdomains}{preload}"));
        Self { value: value.unwrap_or(HeaderValue::from_static("max-age=0")), hosts }
    }
}

/// A listener's own rules.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// Its connections are under TLS.
    pub secured: bool,
    /// `None` for a socket of the file system.
    pub port: Option<u16>,
    /// Proxies whose word is taken on who sent a request.
    pub believed: Vec<IpNet>,
    pub redirect: Option<Redirect>,
    pub hsts: Option<Hsts>,
    /// Where else the same is to be had (RFC 7838): by HTTP/3.
    pub alt_svc: Option<HeaderValue>,
    /// What an authority that looks for a host here is answered.
    pub challenges: Option<Arc<Challenges>>,
}

/// Those of all listeners, by [`Request::listener`]. Publishing replaces them as a whole.
#[derive(Debug, Default)]
pub struct Doors {
    current: Mutex<Arc<[Door]>>,
    generation: AtomicU64,
}

impl Doors {
    pub fn new(doors: Vec<Door>) -> Arc<Self> {
        Arc::new(Self { current: Mutex::new(doors.into()), generation: AtomicU64::new(1) })
    }

    /// Every request that arrives from now on finds these.
    pub fn publish(&self, doors: Vec<Door>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = doors.into();
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn load(&self) -> (u64, Rc<Arc<[Door]>>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.generation.load(Ordering::Acquire), Rc::new(current.clone()))
    }
}

/// One core's view of the doors: reads a number per request, and the lock only after a change.
pub(crate) struct DoorsReader {
    doors: Arc<Doors>,
    cached: RefCell<(u64, Rc<Arc<[Door]>>)>,
}

impl DoorsReader {
    pub fn new(doors: Arc<Doors>) -> Self {
        let cached = RefCell::new(doors.load());
        Self { doors, cached }
    }

    pub fn current(&self) -> Rc<Arc<[Door]>> {
        let mut cached = self.cached.borrow_mut();
        if cached.0 != self.doors.generation.load(Ordering::Acquire) {
            *cached = self.doors.load();
        }
        cached.1.clone()
    }
}

/// What tells clients that HTTP/3 is served on a port, for a day.
pub fn alt_svc(port: u16) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("h3=\":{port}\"; ma=86400")).ok()
}

impl Door {
    /// The answer to a request that goes no further: the question of an authority, which is no
    /// matter of any app, or what belongs on HTTPS.
    pub(crate) fn before(&self, request: &Request) -> Option<Response<Body>> {
        let challenges = self.challenges.as_ref().filter(|_| request.method == Method::GET);
        match challenges.and_then(|challenges| challenges.http(request.path())) {
            Some(answer) => {
                let mut response = Response::new(Body::full(answer));
                let kind = HeaderValue::from_static("application/octet-stream");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                Some(response)
            }
            None => self.redirect(request),
        }
    }

    /// Whether the answer to a GET request may come from [`Door::before`].
    pub(crate) fn stops(&self, host: &str, path: &str, scheme: &str) -> bool {
        let redirected =
            self.redirect.as_ref().filter(|_| scheme != "https").is_some_and(|to| to.hosts.find(host).is_some());
        redirected || self.challenges.as_ref().is_some_and(|challenges| challenges.http(path).is_some())
    }

    /// Whether what a client says of who sent its request is passed on.
    pub(crate) fn believes(&self, address: IpAddr) -> bool {
        self.believed.iter().any(|network| network.contains(&address))
    }

    /// The answer to a request that belongs on HTTPS.
    fn redirect(&self, request: &Request) -> Option<Response<Body>> {
        let redirect = self.redirect.as_ref().filter(|_| request.scheme() != "https")?;
        redirect.hosts.find(request.host())?;
        let port = match redirect.port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        let location = format!("https://{}{port}{}", request.host(), request.path_and_query);
        let mut response = Response::new(Body::empty());
        // Unlike 301, it keeps the method and the body of what is asked.
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(location).ok()?);
        Some(response)
    }

    /// The fields of every answer to a request; what a worker says itself stays.
    pub(crate) fn fields(&self, host: &str, secured: bool, headers: &mut HeaderMap) {
        for (name, value) in self.told(host, secured).into_iter().flatten() {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// The same fields.
    pub(crate) fn told(&self, host: &str, secured: bool) -> [Option<(HeaderName, &HeaderValue)>; 2] {
        let hsts = self.hosts_hsts(host).filter(|_| secured);
        let alt_svc = self.alt_svc.as_ref().filter(|_| secured);
        [
            hsts.map(|hsts| (header::STRICT_TRANSPORT_SECURITY, &hsts.value)),
            alt_svc.map(|value| (header::ALT_SVC, value)),
        ]
    }

    fn hosts_hsts(&self, host: &str) -> Option<&Hsts> {
        self.hsts.as_ref().filter(|hsts| hsts.hosts.find(host).is_some())
    }
}
