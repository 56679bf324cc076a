//! RFC 9111 read line by line, slowly, for exchanges made of parts: what the policy says is held against
//! it. Nothing here is shared with the policy; header fields are written out only for the latter.

use proptest::prelude::*;

use super::*;

const NOW_S: u64 = 1_790_000_000;

/// An origin's response, and the request that it answers, in terms of what they mean.
#[derive(Debug, Clone)]
struct Exchange {
    status: u16,
    no_store: bool,
    no_cache: bool,
    private: bool,
    public: bool,
    must_revalidate: bool,
    max_age_s: Option<u64>,
    s_maxage_s: Option<u64>,
    while_s: Option<u64>,
    error_s: Option<u64>,
    /// Relative to now; `None` is no field.
    date_ago_s: Option<u64>,
    /// Relative to the date, or to now without one; below zero, in the past.
    expires_in_s: Option<i64>,
    modified_ago_s: Option<u64>,
    age_s: Option<u64>,
    tagged: bool,
    cookie: bool,
    /// In `private="Set-Cookie"`.
    cookie_is_named: bool,
    authorized: bool,
    request_no_store: bool,
}

/// What a later request asks, and when.
#[derive(Debug, Clone)]
struct Later {
    after_s: u64,
    no_cache: bool,
    max_age_s: Option<u64>,
    min_fresh_s: Option<u64>,
    max_stale_s: Option<u64>,
}

const DEFAULT_S: u64 = 30;
const ABSENCE_S: u64 = 7;

impl Exchange {
    fn date_s(&self) -> u64 {
        NOW_S - self.date_ago_s.unwrap_or(0)
    }

    /// Section 3, sentence by sentence.
    fn may_be_stored(&self) -> bool {
        let for_all = self.public || self.s_maxage_s.is_some();
        let final_and_whole = self.status != 206;
        let lifetime_known = self.lifetime_s().is_some() || self.no_cache;
        let useful = self.tagged || self.modified_ago_s.is_some() || {
            let serves_stale = self.while_s.unwrap_or(0) > 0 || self.error_s.unwrap_or(0) > 0;
            !self.no_cache && (self.corrected_initial_age_s() < self.lifetime_s().unwrap_or(0) || serves_stale)
        };
        final_and_whole
            && !self.no_store
            && !self.request_no_store
            && !self.private
            && (!self.authorized || for_all || self.must_revalidate)
            // What the standard leaves to the cache: a cookie is for one, unless the response is for all.
            && (!self.cookie || self.cookie_is_named || for_all)
            && lifetime_known
            && useful
    }

    /// Section 4.2.1.
    fn lifetime_s(&self) -> Option<u64> {
        if let Some(seconds) = self.s_maxage_s {
            return Some(seconds);
        }
        if let Some(seconds) = self.max_age_s {
            return Some(seconds);
        }
        if let Some(seconds) = self.expires_in_s {
            return Some(u64::try_from(seconds).unwrap_or(0));
        }
        // Section 4.2.2: heuristics, for statuses that allow them or if `public` does.
        let default_s = match self.status {
            200 | 301 => DEFAULT_S,
            404 => ABSENCE_S,
            _ if self.public => ABSENCE_S,
            _ => return None,
        };
        match self.modified_ago_s {
            Some(ago_s) if NOW_S - ago_s < self.date_s() => Some(((self.date_s() - (NOW_S - ago_s)) / 10).min(86_400)),
            _ => Some(default_s),
        }
    }

    /// Section 4.2.3.
    fn corrected_initial_age_s(&self) -> u64 {
        let apparent_age_s = NOW_S.saturating_sub(self.date_s());
        apparent_age_s.max(self.age_s.unwrap_or(0))
    }

    fn fields(&self) -> HeaderMap {
        let mut directives = Vec::new();
        let flags = [
            (self.no_store, "no-store"),
            (self.no_cache, "no-cache"),
            (self.private, "private"),
            (self.public, "public"),
            (self.must_revalidate, "must-revalidate"),
        ];
        directives.extend(flags.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()));
        if self.cookie_is_named {
            directives.push("private=\"Set-Cookie\"".to_owned());
        }
        let numbers = [
            ("max-age", self.max_age_s),
            ("s-maxage", self.s_maxage_s),
            ("stale-while-revalidate", self.while_s),
            ("stale-if-error", self.error_s),
        ];
        directives.extend(numbers.iter().filter_map(|(name, number)| Some(format!("{name}={}", (*number)?))));
        let at = |second: u64| httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(second));
        let mut fields = HeaderMap::new();
        let mut put = |name: HeaderName, value: Option<String>| {
            if let Some(value) = value {
                fields.insert(name, HeaderValue::try_from(value).expect("a value"));
            }
        };
        put(header::CACHE_CONTROL, (!directives.is_empty()).then(|| directives.join(", ")));
        put(header::DATE, self.date_ago_s.map(|ago_s| at(NOW_S - ago_s)));
        put(header::EXPIRES, self.expires_in_s.map(|in_s| at(self.date_s().saturating_add_signed(in_s))));
        put(header::LAST_MODIFIED, self.modified_ago_s.map(|ago_s| at(NOW_S - ago_s)));
        put(header::AGE, self.age_s.map(|age_s| age_s.to_string()));
        put(header::ETAG, self.tagged.then(|| "\"v\"".to_owned()));
        put(header::SET_COOKIE, self.cookie.then(|| "a=b".to_owned()));
        fields
    }

    fn request(&self) -> HeaderMap {
        let mut fields = HeaderMap::new();
        if self.authorized {
            fields.insert(header::AUTHORIZATION, HeaderValue::from_static("x"));
        }
        if self.request_no_store {
            fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        fields
    }
}

impl Later {
    /// Sections 4, 5.2.1 and 5.2.2, and RFC 5861, section 3.
    fn served(&self, stored: &Exchange) -> &'static str {
        let age_s = stored.corrected_initial_age_s() + self.after_s;
        let lifetime_s = stored.lifetime_s().unwrap_or(0);
        if stored.no_cache || self.no_cache || self.max_age_s.is_some_and(|max| age_s > max) {
            return "validate";
        }
        if age_s + self.min_fresh_s.unwrap_or(0) < lifetime_s {
            return "fresh";
        }
        let stale_s = age_s.saturating_sub(lifetime_s);
        let never = stored.must_revalidate || stored.s_maxage_s.is_some();
        if never || self.min_fresh_s.unwrap_or(0) > 0 {
            return "validate";
        }
        if self.max_stale_s.is_some_and(|max| stale_s <= max) {
            return "fresh";
        }
        match stored.while_s {
            Some(while_s) if while_s > 0 && stale_s <= while_s => "stale while",
            _ => "validate",
        }
    }

    fn fields(&self) -> HeaderMap {
        let mut directives = Vec::new();
        if self.no_cache {
            directives.push("no-cache".to_owned());
        }
        let numbers = [("max-age", self.max_age_s), ("min-fresh", self.min_fresh_s), ("max-stale", self.max_stale_s)];
        directives.extend(numbers.iter().filter_map(|(name, number)| Some(format!("{name}={}", (*number)?))));
        let mut fields = HeaderMap::new();
        if !directives.is_empty() {
            fields.insert(header::CACHE_CONTROL, HeaderValue::try_from(directives.join(",")).expect("a value"));
        }
        fields
    }
}

fn seldom() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.1)
}

fn some_seconds() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(prop_oneof![0..3_u64, 0..120_u64, Just(1 << 31)])
}

prop_compose! {
    fn exchange()(
        status in prop_oneof![6 => Just(200_u16), 1 => Just(404), 1 => Just(301), 1 => Just(302), 1 => Just(206), 1 => Just(500)],
        (no_store, no_cache, private, public, must_revalidate) in (seldom(), seldom(), seldom(), any::<bool>(), seldom()),
        (max_age_s, s_maxage_s) in (some_seconds(), prop::option::weighted(0.2, 0..60_u64)),
        (while_s, error_s) in (some_seconds(), some_seconds()),
        (date_ago_s, expires_in_s) in (prop::option::of(0..50_u64), prop::option::of(-50..200_i64)),
        (modified_ago_s, age_s) in (prop::option::of(0..5_000_000_u64), prop::option::of(0..100_u64)),
        (tagged, cookie, cookie_is_named, authorized, request_no_store) in (any::<bool>(), prop::bool::weighted(0.2), seldom(), seldom(), seldom()),
    ) -> Exchange {
        Exchange {
            status, no_store, no_cache, private, public, must_revalidate, max_age_s, s_maxage_s, while_s, error_s,
            date_ago_s, expires_in_s, modified_ago_s, age_s, tagged, cookie, cookie_is_named, authorized, request_no_store,
        }
    }
}

prop_compose! {
    fn later()(
        after_s in 0..300_u64,
        no_cache in seldom(),
        (max_age_s, min_fresh_s, max_stale_s) in (
            prop::option::weighted(0.2, 0..100_u64), prop::option::weighted(0.2, 0..100_u64), prop::option::weighted(0.2, 0..100_u64)
        ),
    ) -> Later {
        Later { after_s, no_cache, max_age_s, min_fresh_s, max_stale_s }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_policy_is_the_standard(exchange in exchange(), later in later()) {
        let heuristic = Heuristic { default_s: DEFAULT_S, absence_s: ABSENCE_S, modified_s_max: 86_400 };
        let status = StatusCode::from_u16(exchange.status).expect("a status");
        let admitted = admit_proxied(&exchange.request(), status, exchange.fields(), heuristic, NOW_S * 1000);
        prop_assert_eq!(admitted.is_ok(), exchange.may_be_stored(), "{:?}", admitted);
        let Ok(stored) = admitted else { return Ok(()) };
        let holds_cookie = exchange.cookie && !exchange.cookie_is_named;
        prop_assert_eq!(stored.headers.contains_key(header::SET_COOKIE), holds_cookie);
        let now_ms = (NOW_S + later.after_s) * 1000;
        prop_assert_eq!(stored.age_s(now_ms), exchange.corrected_initial_age_s() + later.after_s);
        let request = later.fields();
        let served = match reuse(&[Arc::new(stored)], &request, &Asked::parse(&request), now_ms) {
            Reuse::Fresh(_) => "fresh",
            Reuse::StaleWhile(_) => "stale while",
            Reuse::Validate(_) => "validate",
            Reuse::Nothing => "nothing",
        };
        prop_assert_eq!(served, later.served(&exchange));
    }
}
