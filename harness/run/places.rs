//! The places where the processes of a run listen, and the proof of who they are: ports and a certificate.
//! They are chosen before anything is started, so that a process may name one that starts after it. Starts
//! nothing; writes nothing but the certificate's files.

use super::Error;
use crate::scenario::{Plan, Process};
use crate::sys::sock_diag::SockDiag;
use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Free ports are looked for here: inside the ephemeral range they would collide with the clients' own ports.
const FREE: std::ops::Range<u16> = 10_000..30_000;

/// The ports of every process of a plan, and the run's certificate.
#[derive(Debug)]
pub struct Places {
    ports: BTreeMap<String, Ports>,
    /// Placeholders that a process alone has (`scenario::Setting::names`).
    names: BTreeMap<String, BTreeMap<String, String>>,
    identity: Option<Identity>,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    tls: Option<u16>,
}

/// A certificate for `localhost` and 127.0.0.1, signed by itself, that lives as long as the run.
#[derive(Debug, Clone)]
pub struct Identity {
    /// PEM; also what a client has to trust.
    pub certificate: String,
    /// PEM, PKCS #8.
    pub key: String,
}

impl Places {
    /// Chooses a port for every process, a second one where it is to speak TLS there, and makes a certificate
    /// where one is asked for.
    ///
    /// # Errors
    /// A port that the scenario names is taken; no port is free.
    pub fn choose(plan: &Plan, diag: &mut SockDiag) -> Result<Self, Error> {
        Places::choose_but(plan, diag, HashSet::new())
    }

    /// The same, without these ports.
    ///
    /// # Errors
    /// As [`Places::choose`].
    pub fn choose_but(plan: &Plan, diag: &mut SockDiag, mut taken: HashSet<u16>) -> Result<Self, Error> {
        let listeners = diag.listeners()?;
        taken.extend(listeners.iter().filter_map(|l| l.address.port()));
        let mut ports = BTreeMap::new();
        for (name, process) in &plan.processes {
            let plain = match process.port {
                Some(port) if listeners.iter().any(|l| l.address.port() == Some(port)) => {
                    return Err(Error::NotStarted(format!(
                        "port {port} is already taken: stop what listens there (`ss -ltnp 'sport = :{port}'`), or choose another port"
                    )));
                }
                Some(port) => port,
                None => free(&taken)?,
            };
            taken.insert(plain);
            let tls = if asks_for(plan, name, "tls-port") { Some(free(&taken)?) } else { None };
            taken.extend(tls);
            ports.insert(name.clone(), Ports { plain, tls });
        }
        let certified = plan.processes.values().any(needs_identity);
        let names =
            plan.processes.iter().map(|(name, process)| (name.clone(), process.setting.names.clone()));
        let identity = if certified { Some(Identity::make()?) } else { None };
        Ok(Places { ports, names: names.collect(), identity })
    }

    /// The port that `{port}` stands for in this process.
    pub fn port(&self, process: &str) -> u16 {
        self.ports[process].plain
    }

    /// The port that `{tls-port}` stands for in this process; `None`: nothing mentions one.
    pub fn tls_port(&self, process: &str) -> Option<u16> {
        self.ports[process].tls
    }

    /// The file of the certificate that clients over TLS trust, in the folder of any process; `None`: nothing
    /// asks for one.
    pub fn certificate(&self, scratch: &Path) -> Option<PathBuf> {
        self.identity.as_ref().map(|_| scratch.join(CERTIFICATE))
    }

    /// Writes the certificate, if there is one, into a process's own folder.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn deliver(&self, scratch: &Path) -> Result<(), Error> {
        let Some(identity) = &self.identity else { return Ok(()) };
        std::fs::write(scratch.join(CERTIFICATE), &identity.certificate)
            .and_then(|()| std::fs::write(scratch.join(KEY), &identity.key))
            .map_err(|e| {
                Error::Inconclusive(format!("the certificate cannot be written to a temporary folder: {e}"))
            })
    }

    /// A word of a process with its placeholders filled in: `{port}`, `{tls-port}`, `{scratch}`,
    /// `{certificate}`, `{key}`, `{NAME.port}`, `{NAME.tls-port}` of any process, and those that it alone
    /// has.
    pub fn fill(&self, word: &str, process: &str, scratch: &Path) -> String {
        let names = self.names.get(process).into_iter().flatten();
        let named =
            names.fold(word.to_owned(), |word, (name, words)| word.replace(&format!("{{{name}}}"), words));
        let mut word = named
            .replace("{certificate}", &scratch.join(CERTIFICATE).display().to_string())
            .replace("{key}", &scratch.join(KEY).display().to_string())
            .replace("{scratch}", &scratch.display().to_string());
        let own = self.ports.get(process).map(|ports| (String::new(), ports));
        for (prefix, ports) in self.ports.iter().map(|(name, ports)| (format!("{name}."), ports)).chain(own) {
            word = word.replace(&format!("{{{prefix}port}}"), &ports.plain.to_string());
            if let Some(tls) = ports.tls {
                word = word.replace(&format!("{{{prefix}tls-port}}"), &tls.to_string());
            }
        }
        word
    }
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// Whether a port of a process is mentioned, by itself or by another.
fn asks_for(plan: &Plan, name: &str, port: &str) -> bool {
    let (own, named) = (format!("{{{port}}}"), format!("{{{name}.{port}}}"));
    plan.processes.iter().any(|(other, process)| {
        process.words().any(|word| word.contains(&named) || other == name && word.contains(&own))
    })
}

/// Whether a process reads the certificate's files.
fn needs_identity(process: &Process) -> bool {
    process.words().any(|word| word.contains("{certificate}") || word.contains("{key}"))
}

fn free(taken: &HashSet<u16>) -> Result<u16, Error> {
    // Nothing listens there before the run's processes have started: runs side by side must not choose the
    // same one. Those of one process take turns, and each process begins at random.
    static TURN: AtomicU16 = AtomicU16::new(0);
    static BEGIN: LazyLock<u16> = LazyLock::new(|| fastrand::u16(0..FREE.end - FREE.start));
    let turn = u32::from(TURN.fetch_add(1, Ordering::Relaxed)) + u32::from(*BEGIN);
    let first = FREE.start + (turn % u32::from(FREE.end - FREE.start)) as u16;
    (first..FREE.end)
        .chain(FREE.start..first)
        .find(|&port| {
            let own = (Ipv4Addr::LOCALHOST, port);
            !taken.contains(&port) && TcpListener::bind(own).is_ok() && UdpSocket::bind(own).is_ok()
        })
        .ok_or_else(|| Error::Inconclusive(format!("no free port between {} and {}", FREE.start, FREE.end)))
}

impl Identity {
    fn make() -> Result<Self, Error> {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()]);
        let made = made.map_err(|e| Error::Fault(format!("no certificate could be made: {e}")))?;
        Ok(Identity { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &str) -> Plan {
        let text = format!(
            "claim = \"c\"\nsubject = \"a\"\n[processes.a]\ncommand = {words}\nlimits = {{ soft = 64, hard = 64 }}\n\
             [processes.backend]\ncommand = [\"b\"]\nlimits = {{ soft = 64, hard = 64 }}\n[workloads]\nw.tcp = {{}}\n"
        );
        crate::scenario::parse(&text, "x.scenario.toml", "x", Path::new(".")).unwrap().remove(0)
    }

    fn filled(words: &str, word: &str) -> (Places, String) {
        let places = Places::choose(&plan(words), &mut SockDiag::open().unwrap()).unwrap();
        let filled = places.fill(word, "a", Path::new("/tmp/s"));
        (places, filled)
    }

    #[test]
    fn a_process_may_name_its_own_ports_and_those_of_another() {
        let (places, filled) = filled(
            r#"["x", "{tls-port}", "{backend.port}"]"#,
            "{port} {a.port} {tls-port} {backend.port} {backend.tls-port}",
        );
        let (own, tls, backend) = (places.port("a"), places.tls_port("a").unwrap(), places.port("backend"));
        assert_eq!(filled, format!("{own} {own} {tls} {backend} {{backend.tls-port}}"));
        assert_eq!(HashSet::from([own, tls, backend]).len(), 3);
    }

    #[test]
    fn ports_that_nobody_has_taken_yet_are_not_chosen_by_two_runs_at_once() {
        let chosen: HashSet<u16> = (0..50).map(|_| free(&HashSet::new()).unwrap()).collect();
        assert!(chosen.len() > 40, "{chosen:?}");
    }

    #[test]
    fn a_certificate_is_made_where_a_process_asks_for_it_and_only_there() {
        let (none, _) = filled(r#"["x"]"#, "");
        let folder = tempfile::tempdir().unwrap();
        none.deliver(folder.path()).unwrap();
        assert_eq!(
            (std::fs::read_dir(folder.path()).unwrap().count(), none.certificate(folder.path())),
            (0, None)
        );
        let (places, _) = filled(r#"["x", "{certificate}"]"#, "");
        places.deliver(folder.path()).unwrap();
        let written = places.fill("{certificate}", "a", folder.path());
        assert_eq!(Some(written.clone().into()), places.certificate(folder.path()));
        assert!(std::fs::read_to_string(written).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
