//! Proxies: what cannot be one would be left out when a connection is made, and calls would go past it.

use url::Url;

use super::Check;
use crate::config::Veiled;
use crate::config::variables::PLACEHOLDER;

const SCHEMES: &[&str] = &["http", "https", "socks5", "socks5h"];

impl Check<'_> {
    /// The `proxy` of what stands at `path`. What is written may hold a password and is not told.
    pub(super) fn proxy(&mut self, proxy: &Veiled<Option<String>>, path: &str) {
        let Some(written) = proxy.as_deref().filter(|written| *written != PLACEHOLDER) else { return };
        if !is_proxy(written) {
            let message =
                "expected the URL of a proxy: `http://`, `https://`, `socks5://` or `socks5h://` and a host";
            self.fault(&format!("{path}.proxy"), message);
        }
    }
}

fn is_proxy(written: &str) -> bool {
    Url::parse(written).is_ok_and(|url| SCHEMES.contains(&url.scheme()) && url.has_host())
}
