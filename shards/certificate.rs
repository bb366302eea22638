//! The certificate of HTTPS and WSS: read from files, or made for the addresses that are listened on.

use crate::config::{Config, Tls};
use crate::fault::StartError;
use crate::interface;
use portunus::proto::tls::{Context, TlsError};
use portunus::time::Now;
use std::net::IpAddr;
use std::path::Path;
use std::{fs, io};

/// What the configuration asks for; none without TLS.
pub fn load(config: &Config, now: Now) -> Result<Option<Context>, StartError> {
    match &config.tls {
        None => Ok(None),
        Some(Tls::Files { certificate, key }) => {
            let chain = read("tls-cert", certificate)?;
            let context = Context::from_pem(&chain, &read("tls-key", key)?);
            context.map(Some).map_err(|error| match error {
                TlsError::Key(_) | TlsError::Mismatch => fault("tls-key", key, error.to_string()),
                TlsError::Certificate(_) | TlsError::Library(_) => fault("tls-cert", certificate, error.to_string()),
            })
        }
        Some(Tls::SelfSigned) => {
            let (addresses, names) = (addresses(config), names());
            let context = Context::self_signed(now, &addresses, &names);
            context.map(Some).map_err(|error| StartError::Tls(format!("--tls-self-signed: {error}")))
        }
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, StartError> {
    fs::read(path).map_err(|error: io::Error| fault(setting, path, error.to_string()))
}

fn fault(setting: &str, path: &Path, sentence: String) -> StartError {
    StartError::Tls(format!("--{setting} {}: {sentence}", path.display()))
}

/// The addresses under which clients may find us.
fn addresses(config: &Config) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = config.listen.iter().map(|at| at.ip()).collect();
    addresses.extend(&config.public_ip);
    if addresses.iter().any(IpAddr::is_unspecified) {
        // Not knowing them all costs a warning in the browser, which a self-signed certificate costs anyway.
        addresses.extend(interface::addresses().unwrap_or_default().iter().map(|found| found.ip));
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses.retain(|ip| !ip.is_unspecified());
    addresses
}

fn names() -> Vec<String> {
    let mut names = vec![String::from("localhost")];
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let host = host.trim();
    if !host.is_empty() && host.bytes().all(is_name) {
        names.push(host.to_owned());
    }
    names
}
