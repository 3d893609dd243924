//! Whom a connection trusts, and what a failed handshake means.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

use super::{Broken, connect};
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
            built.unwrap_or_else(|_| Err(Broken::new(Kind::Tls, "the TLS set-up did not finish")))
        });
        made.await.cloned()
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
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "no TLS version in common: 1.2 and 1.3 are spoken here".to_owned()
        }
        other => other.to_string(),
    };
    Broken::new(Kind::Tls, format!("the TLS handshake with {host} failed: {reason}"))
}

/// The configuration of rustls for the authorities in `bundle`, or the system's.
pub(super) fn client_config(bundle: Option<&str>) -> Result<Arc<ClientConfig>, Broken> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Broken::new(Kind::Tls, cause.to_string()))?
        .with_root_certificates(roots(bundle)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What this machine lacks for reading the system's authorities, where that is why they were not read.
fn lacking(cause: &rustls_native_certs::Error) -> Option<Broken> {
    use rustls_native_certs::ErrorKind;
    match &cause.kind {
        ErrorKind::Io { inner, .. } | ErrorKind::Pem(pem::Error::Io(inner)) => connect::local(inner),
        _ => None,
    }
}

fn unread(path: &str, cause: &pem::Error) -> Broken {
    let local = if let pem::Error::Io(inner) = cause { connect::local(inner) } else { None };
    let message = || format!("the CA bundle `{path}` cannot be read: {cause}");
    local.unwrap_or_else(|| Broken::new(Kind::Tls, message()))
}

fn roots(bundle: Option<&str>) -> Result<RootCertStore, Broken> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = bundle {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|cause| unread(path, &cause))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(Broken::new(Kind::Tls, format!("the CA bundle `{path}` holds no certificate")));
        }
        return Ok(roots);
    }
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        // Files that are there and could not be read now must not be given up for good.
        if let Some(lacking) = native.errors.iter().find_map(lacking) {
            return Err(lacking);
        }
        // Slim containers ship no certificates; Mozilla's list serves them.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}
