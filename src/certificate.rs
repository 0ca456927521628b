//! `dimmer certificate`: makes a certificate for https that phones can trust, and says how.
//!
//! An authority of this machine's own issues it. Phones trust the authority, so a later certificate, with other names or
//! because the one before has expired, needs nothing on the phones. Its certificate is good for names and addresses of a
//! home alone: whoever steals its key cannot pass for a bank.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use jiff::{Span, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
    date_time_ymd,
};

use crate::cli::CertificateArgs;
use dimmer::platform::file::{PUBLIC, SECRET, replace_for};
use dimmer::platform::host::{self, Host};
use dimmer::platform::terminal::print;

/// The files: the certificate with that of the authority behind it, its key, and the authority's key.
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";
const AUTHORITY_KEY: &str = "authority-key.pem";
/// What precedes the name of the authority, above its key, and then what it is good for besides homes.
const AUTHORITY: &str = "Authority: ";
const HOSTS: &str = "Hosts: ";

/// iPhones accept at most 825 days, from an authority that their owner trusts, too:
/// <https://support.apple.com/en-us/103769>.
const DAYS: i64 = 800;
const AUTHORITY_YEARS: i64 = 10;
/// A clock that is behind this was never set, and phones would take the certificate for one that has expired.
const FIRST_YEAR: i16 = 2026;

/// The group that may read the key: that of the service.
const GROUP: &str = "gpio";

/// The networks of homes (RFC 1918, 3927, 4193, 4291) and this machine: the authority is good for these addresses.
const HOME_NETWORKS: [(IpAddr, u8); 8] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
];
/// The names of homes: `.local` of mDNS, and those of routers (RFC 8375 and usage).
const HOME_DOMAINS: [&str; 6] = ["local", "localhost", "home.arpa", "internal", "lan", "home"];

/// Makes the files in the folder, and prints what to do with them.
pub fn make(args: CertificateArgs) -> anyhow::Result<()> {
    let today = Zoned::now();
    ensure!(
        today.year() >= FIRST_YEAR,
        "the clock of this machine says {}: set it first, as phones compare theirs with the certificate",
        today.date()
    );
    let folder = &args.folder;
    ensure!(
        folder.is_dir(),
        "--folder {} must be a folder",
        folder.display()
    );
    let authority_file = folder.join(AUTHORITY_KEY);
    let known = match authority_file.exists() {
        true => Some(
            CertificateAuthority::read(&authority_file)
                .with_context(|| authority_file.display().to_string())?,
        ),
        false => None,
    };
    if known.is_none() {
        for file in [CERTIFICATE, KEY] {
            let file = folder.join(file);
            ensure!(
                !file.exists(),
                "{} is there and not of this command: move it away, or name another --folder",
                file.display()
            );
        }
    }
    let is_new = known.is_none();
    let mut hosts = hosts(&args.hosts);
    let authority = match known {
        Some(authority) => authority,
        None => CertificateAuthority::new(hosts.clone())?,
    };
    if let Some(host) = args.hosts.iter().find(|host| !authority.covers(host)) {
        bail!(
            "--host {host}: the authority that phones trust is not good for it; to begin again with another one, move \
             {} away, and the files beside it",
            authority_file.display()
        );
    }
    // Another name of this machine, or another address from its provider. One that the authority is not good for would have
    // phones refuse all of it.
    hosts.retain(|host| authority.covers(host));
    let made = authority.issue(&hosts, &today)?;
    if is_new {
        write(&authority_file, SECRET, &authority.text(), None)?;
    }
    let group = group(GROUP, &fs::read_to_string("/etc/group").unwrap_or_default());
    write(&folder.join(KEY), 0o640, &made.key, group)?;
    write(&folder.join(CERTIFICATE), PUBLIC, &made.chain, None)?;
    print(&instructions(folder, &hosts, is_new))
}

/// What this machine is called, then what is named besides.
fn hosts(named: &[Host]) -> Vec<Host> {
    let label = host::own_label();
    let names = [
        format!("{label}.local"),
        host::own_name(),
        label,
        "localhost".into(),
    ];
    let names = names.into_iter().filter_map(|name| name.parse().ok());
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let addresses = interfaces.into_iter().map(|interface| interface.ip());
    // A browser cannot open one with a zone.
    let addresses = addresses.filter(|address| match address {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    });
    let mut hosts = Vec::new();
    let addresses = addresses.map(Host::Address);
    for host in names.chain(addresses).chain(named.iter().cloned()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// Issues certificates.
struct CertificateAuthority {
    name: String,
    /// What it is good for besides homes. It stays so, as phones keep the first certificate of the authority.
    hosts: Vec<Host>,
    key: KeyPair,
}

/// A new certificate with that of the authority, and its key, in PEM.
struct Made {
    chain: String,
    key: String,
}

impl CertificateAuthority {
    fn new(hosts: Vec<Host>) -> anyhow::Result<CertificateAuthority> {
        Ok(CertificateAuthority {
            name: format!("dimmer on {}", host::own_label()),
            hosts,
            key: KeyPair::generate().context("cannot make a key")?,
        })
    }

    /// Reads what [`CertificateAuthority::text`] has made.
    fn read(file: &Path) -> anyhow::Result<CertificateAuthority> {
        let text = fs::read_to_string(file).context("cannot be read")?;
        let mut lines = text.lines();
        let mut after = |label: &str| lines.next().and_then(|line| line.strip_prefix(label));
        let (name, hosts) = after(AUTHORITY).zip(after(HOSTS)).with_context(|| {
            format!("must begin with a line {AUTHORITY:?} and a line {HOSTS:?}")
        })?;
        let hosts = hosts.split(", ").map(|host| host.parse().context("Hosts"));
        Ok(CertificateAuthority {
            name: name.into(),
            hosts: hosts.collect::<anyhow::Result<_>>()?,
            key: KeyPair::from_pem(&text).context("must hold a private key in PEM")?,
        })
    }

    /// The name, the hosts and the key: PEM may have text above it.
    fn text(&self) -> String {
        let (name, hosts, key) = (&self.name, list(&self.hosts), self.key.serialize_pem());
        format!("{AUTHORITY}{name}\n{HOSTS}{hosts}\n{key}")
    }

    /// Whether a certificate for this host is good.
    fn covers(&self, host: &Host) -> bool {
        let is_home = match host {
            Host::Address(address) => HOME_NETWORKS
                .iter()
                .any(|network| is_in(*address, *network)),
            Host::Name(name) => HOME_DOMAINS.iter().any(|domain| {
                let above = name.strip_suffix(domain);
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }),
        };
        is_home || self.hosts.contains(host)
    }

    fn issue(&self, hosts: &[Host], today: &Zoned) -> anyhow::Result<Made> {
        let own = self.params(today)?;
        let certificate = own.self_signed(&self.key)?;
        let issuer = Issuer::new(own, &self.key);
        let key = KeyPair::generate().context("cannot make a key")?;
        let mut issued = params(
            &format!("{} (LED)", self.name),
            today,
            Span::new().days(DAYS),
        )?;
        issued.subject_alt_names = hosts.iter().map(san).collect::<anyhow::Result<_>>()?;
        issued.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        issued.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        issued.use_authority_key_identifier_extension = true;
        let issued = issued.signed_by(&key, &issuer)?;
        Ok(Made {
            chain: issued.pem() + &certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// What the authority is good for: homes, and the hosts that are none.
    fn params(&self, today: &Zoned) -> anyhow::Result<CertificateParams> {
        let networks = HOME_NETWORKS.map(|(address, prefix)| subnet(address, prefix));
        let domains = HOME_DOMAINS.map(|domain| GeneralSubtree::DnsName(domain.into()));
        let hosts = self.hosts.iter().map(|host| match host {
            Host::Name(name) => GeneralSubtree::DnsName(name.clone()),
            Host::Address(address) => subnet(*address, if address.is_ipv4() { 32 } else { 128 }),
        });
        let mut params = params(&self.name, today, Span::new().years(AUTHORITY_YEARS))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: networks.into_iter().chain(domains).chain(hosts).collect(),
            excluded_subtrees: Vec::new(),
        });
        Ok(params)
    }
}

fn is_in(address: IpAddr, (network, prefix): (IpAddr, u8)) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (u32::from(address) ^ u32::from(network)) >> (32 - prefix) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (u128::from(address) ^ u128::from(network)) >> (128 - prefix) == 0
        }
        _ => false,
    }
}

fn list(hosts: &[Host]) -> String {
    let hosts: Vec<_> = hosts.iter().map(Host::to_string).collect();
    hosts.join(", ")
}

fn subnet(address: IpAddr, prefix: u8) -> GeneralSubtree {
    GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix))
}

fn san(host: &Host) -> anyhow::Result<SanType> {
    Ok(match host {
        Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
        Host::Address(address) => SanType::IpAddress(*address),
    })
}

/// A certificate of this name, from yesterday on: the clocks of phones differ.
fn params(name: &str, today: &Zoned, validity: Span) -> anyhow::Result<CertificateParams> {
    let date = |date: &Zoned| {
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        date_time_ymd(date.year().into(), month, day)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date(&today.yesterday()?);
    params.not_after = date(&today.checked_add(validity)?);
    Ok(params)
}

fn write(file: &Path, mode: u32, text: &str, group: Option<u32>) -> anyhow::Result<()> {
    replace_for(file, text.as_bytes(), mode, group)
        .with_context(|| format!("cannot write {}", file.display()))
}

/// The number of a group in the text of `/etc/group`.
fn group(name: &str, groups: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

fn instructions(folder: &Path, hosts: &[Host], is_new: bool) -> String {
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    let name = &hosts[0];
    let made = format!(
        "made {} for {DAYS} days, for {}\n",
        certificate.display(),
        list(hosts)
    );
    if !is_new {
        return made
            + "phones that trust the authority trust this, too; the service reads it after\n  \
            sudo systemctl reload dimmer\n";
    }
    format!(
        "{made}
1. Let the service use it: in /etc/dimmer/dimmer.toml set
     tls_cert = {certificate:?}
     tls_key = {key:?}
   and run: sudo systemctl restart dimmer

2. Let each phone trust it: open http://{name}:5000/ca.crt there, then
   iPhone, iPad  Settings > Profile Downloaded > Install; then Settings > General > About >
                 Certificate Trust Settings > switch it on
   Android       Settings > Security > Encryption & credentials > Install a certificate > CA certificate
   Firefox       asks at once; elsewhere the certificates of the system, as an authority

3. Open https://{name}:5000 and add it to the home screen.

Run this again before it expires, or for other names: phones need nothing then.
"
    )
}
