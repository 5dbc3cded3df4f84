//! Certificates that are made for one run.

use pushbench_core::scenario::KeyKind;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use std::io;

/// Names and addresses of this machine. A client that connects to another address of 127.0.0.0/8 names
/// `localhost`.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// An authority, and a server's certificate that it has signed; PEM texts.
#[derive(Clone)]
pub struct Certificates {
    /// The authority's certificate, which clients trust.
    pub ca: String,
    /// The server's certificate.
    pub cert: String,
    /// The server's private key.
    pub key: String,
}

impl Certificates {
    /// Makes keys and certificates. The server's is valid for this machine and for `names`, DNS names or
    /// addresses. The authority's key is not kept, so nobody can sign another one.
    ///
    /// # Errors
    /// A name is neither a DNS name nor an address, or there is no source of random numbers.
    pub fn make(kind: KeyKind, names: &[String]) -> io::Result<Certificates> {
        let names = HERE.into_iter().map(str::to_owned).chain(names.iter().cloned());
        make(kind, names.collect()).map_err(io::Error::other)
    }
}

fn make(kind: KeyKind, names: Vec<String>) -> Result<Certificates, rcgen::Error> {
    let key = || match kind {
        KeyKind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    };
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.distinguished_name.push(DnType::CommonName, "pushbench, this run only");
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority_key = key()?;
    let ca = authority.self_signed(&authority_key)?.pem();
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name.push(DnType::CommonName, "pushbench server");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = key()?;
    let cert = server.signed_by(&server_key, &Issuer::new(authority, &authority_key))?.pem();
    Ok(Certificates { ca, cert, key: server_key.serialize_pem() })
}
