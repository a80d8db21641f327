//! `--client`, `--client-is` and `--client-served`: a program of the user's own in place of the bundled
//! clients.

use super::values::one_of;
use crate::scenario::{ClientProgram, Find, One, placeholder};

/// The client options that were given.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Client programs")]
pub struct ClientOptions {
    /// Each client is this program, such as 'curl -sS http://{address}/'; {address}, {port}, {client} (its
    /// number) and {clients} stand for what their names say. Exit status 0: it was served; otherwise the last
    /// line of its output is the error
    #[arg(long, value_name = "CMD", conflicts_with_all = ["workload", "send", "expect", "tls", "unix", "calls", "caller"])]
    client: Option<String>,
    /// Whether the program is one client, or all of them: a load generator
    #[arg(long, requires = "client", default_value = "each", value_name = "WHICH", value_parser = one_of(One::ALL, One::name, One::doc))]
    client_is: One,
    /// A line of the program's output that matches this pattern says that its client is served, and holds
    #[arg(long, requires = "client", value_name = "PATTERN")]
    client_served: Option<String>,
}

impl ClientOptions {
    /// Whether the clients are the bundled ones.
    pub fn is_none(&self) -> bool {
        self.client.is_none()
    }

    /// The program; `None` where there is none.
    ///
    /// # Errors
    /// The fault, in words.
    pub fn program(&self) -> Result<Option<ClientProgram>, String> {
        let Some(command) = &self.client else { return Ok(None) };
        let words = shell_words::split(command).map_err(|e| format!("--client '{command}': {e}"))?;
        if words.is_empty() {
            return Err("--client names no program".into());
        }
        let slips = words
            .iter()
            .flat_map(|word| placeholder::unknown(word, &[Find::SUBJECT], &placeholder::OF_CLIENT));
        if let Some((slip, near)) = slips.into_iter().find_map(|slip| Some((slip.written, slip.near?))) {
            return Err(format!("`{slip}` is not a placeholder: did you mean `{near}`?"));
        }
        let mut program = ClientProgram::new(words);
        (program.one, program.served) = (self.client_is, self.client_served.clone());
        if program.one == One::All && program.served.is_some() {
            return Err("--client-served is of one client: leave it out with --client-is all".into());
        }
        program.pattern().map_err(|e| format!("--client-served: {e}"))?;
        Ok(Some(program))
    }
}
