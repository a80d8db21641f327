//! Options of the launchers that stand for a shell, a PAM session, systemd and a container, as a scenario file writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a shell does before it starts the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shell {
    /// `ulimit -Sn` with this number. Left out: the soft limit stays.
    pub soft: Option<u64>,
    /// `ulimit -Hn` with this number. Left out: the hard limit stays.
    pub hard: Option<u64>,
    /// Whether the shell replaces itself by the program, as the last line of a start script does (`exec "$@"`). Otherwise it
    /// stays as the program's parent, as a login shell does.
    pub exec: bool,
    /// Whether it starts the program with the real nohup(1), which replaces itself by the program and changes no limit.
    pub nohup: bool,
}

/// A session that runuser(1) or su(1) opens, and the PAM configuration it sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Session {
    /// Whose session.
    pub user: String,
    /// The lines of `/etc/security/limits.conf` (with nothing in `limits.d`), for the launched program's tree alone. Left out: this
    /// machine's own files.
    pub limits_conf: Option<String>,
    /// A PAM service with (true) or without (false) its line for `pam_limits.so`, for the launched program's tree alone. Without it
    /// `limits.conf` does nothing. Left out: this machine's own service.
    pub pam_limits: Option<bool>,
}

impl Default for Session {
    /// The user that every system has and that `*` in limits.conf means too, under this machine's own configuration.
    fn default() -> Self {
        Session { user: "nobody".into(), limits_conf: None, pam_limits: None }
    }
}

/// A service of systemd.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSystemd {
    /// `LimitNOFILE=`: "SOFT:HARD", or one number for both. Left out: systemd's own default, 1024:524288. What may not be set is
    /// replaced by the closest that may.
    pub limit_nofile: Option<String>,
}

/// A container.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawContainer {
    /// `--ulimit nofile=`: "SOFT:HARD", or one number for both. Left out: the limits that the container daemon has.
    pub ulimit: Option<String>,
}
