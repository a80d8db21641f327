//! `supervisord`: the real one, in the foreground, with a configuration written for the run. It offers no
//! control socket, and its log and the program's output go where the harness reads.

use super::{Command, Error, Site};
use crate::scenario::{Process, Supervisor};

const NAME: &str = "supervisord";

pub(super) fn command(
    process: &Process,
    options: &Supervisor,
    argv: Vec<String>,
    site: Site<'_>,
) -> Result<Command, Error> {
    let text = configuration(options, &argv, site)?;
    let path = site.scratch.join("supervisord.conf");
    std::fs::write(&path, text).map_err(|source| Error::Scratch { path: path.clone(), source })?;
    let argv = [NAME, "--nodaemon", "--configuration"]
        .map(str::to_owned)
        .into_iter()
        .chain([path.to_string_lossy().into_owned()]);
    Ok(Command::new(process, argv.collect(), site))
}

fn configuration(options: &Supervisor, argv: &[String], site: Site<'_>) -> Result<String, Error> {
    let words: Vec<String> = argv.iter().map(|word| quote(word)).collect::<Result<_, _>>()?;
    let scratch = site.scratch.to_string_lossy().replace('%', "%%");
    // Without it supervisord warns that it runs as root; with it, it needs to be root.
    let user = if rustix::process::geteuid().is_root() { "user=root\n" } else { "" };
    let Supervisor { minfds, autorestart, startretries, stopsignal, stopwaitsecs } = options;
    // supervisord takes whole seconds.
    let stopwaitsecs = stopwaitsecs.ceil();
    Ok(format!(
        "[supervisord]\nnodaemon=true\nminfds={minfds}\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={scratch}/supervisord.pid\n\
         childlogdir={scratch}\n{user}\n\
         [program:subject]\ncommand={}\nautostart=true\nautorestart={autorestart}\nstartretries={startretries}\n\
         stopsignal={stopsignal}\nstopwaitsecs={stopwaitsecs}\nredirect_stderr=true\nstdout_logfile=/dev/fd/1\n\
         stdout_logfile_maxbytes=0\n",
        words.join(" ")
    ))
}

/// One word as supervisord reads it: an ini value (where ` ;` and ` #` begin a comment), expanded (`%`), then
/// split like a shell's.
fn quote(word: &str) -> Result<String, Error> {
    if word.contains(['\n', '\r', '\0']) {
        return Err(Error::Unquotable { launcher: NAME, argument: word.to_owned() });
    }
    let inner: String = word.chars().fold(String::new(), |mut inner, c| {
        match c {
            '\'' => inner.push_str(r#"'"'"'"#),
            '%' => inner.push_str("%%"),
            // Closing and opening the quotes puts a quote, not white space, before the character.
            ';' | '#' => inner.extend(["''", c.encode_utf8(&mut [0; 4])]),
            _ => inner.push(c),
        }
        inner
    });
    Ok(format!("'{inner}'"))
}
