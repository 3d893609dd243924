//! Whom a connection trusts, and what a failed handshake means.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

use super::Broken;
use crate::error::Kind;
use crate::provider::endpoint::Target;

/// A set of trusted authorities, read at the first connection that needs it.
#[derive(Debug, Default)]
pub(super) struct Trust {
    bundle: Option<String>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    /// The authorities in the PEM file `bundle`, or the system's.
    pub(super) fn new(bundle: Option<String>) -> Self {
        Self { bundle, config: OnceCell::new() }
    }

    /// The TLS configuration: 1.2 or later, verified, ring.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, Broken> {
        let made = self.config.get_or_try_init(|| async {
            let bundle = self.bundle.clone();
            let built = tokio::task::spawn_blocking(move || client_config(bundle.as_deref())).await;
            built.unwrap_or_else(|_| Err("the TLS set-up did not finish".to_owned()))
        });
        made.await.cloned().map_err(|message| Broken::new(Kind::Tls, message))
    }

    /// What `cause` means for people.
    pub(super) fn explain(&self, cause: &io::Error, target: &Target) -> Broken {
        let host = &target.host;
        let Some(tls) = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return Broken::new(Kind::Connect, format!("the TLS handshake with {host} broke off: {cause}"));
        };
        refused(tls, host, self.bundle.as_deref())
    }
}

/// What a handshake with `host` that rustls refused means for people.
pub(super) fn refused(tls: &rustls::Error, host: &str, bundle: Option<&str>) -> Broken {
    let against = match bundle {
        Some(bundle) => format!("the bundle `{bundle}`"),
        None => "the system's authorities".to_owned(),
    };
    let reason = match tls {
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another hostname".to_owned()
            }
            CertificateError::UnknownIssuer => {
                format!("its certificate has an unknown_issuer (checked against {against})")
            }
            other => format!("its certificate was refused ({other}; checked against {against})"),
        },
        rustls::Error::PeerIncompatible(what) => format!("no TLS version or cipher in common: {what:?}"),
        other => other.to_string(),
    };
    Broken::new(Kind::Tls, format!("the TLS handshake with {host} failed: {reason}"))
}

/// The configuration of rustls for the authorities in `bundle`, or the system's.
pub(super) fn client_config(bundle: Option<&str>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?
        .with_root_certificates(roots(bundle)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn roots(bundle: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = bundle {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|cause| format!("the CA bundle `{path}` cannot be read: {cause}"))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(format!("the CA bundle `{path}` holds no certificate"));
        }
        return Ok(roots);
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        // Slim containers ship no certificates; Mozilla's list serves them.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}
