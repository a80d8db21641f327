//! Options of the launchers that stand for a shell, a PAM session, systemd and a container, as a scenario
//! file writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of a shell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shell {
    /// The shell runs `ulimit -Sn` with this number. Default: the soft limit stays.
    pub soft: Option<u64>,
    /// The shell runs `ulimit -Hn` with this number. Default: the hard limit stays.
    pub hard: Option<u64>,
    /// Replace the shell with the program, as a start script that ends with `exec "$@"`. Otherwise the shell
    /// stays as the parent, as a login shell does.
    pub exec: bool,
    /// Start the program with the real nohup(1), which changes no limit.
    pub nohup: bool,
}

/// A session that runuser(1) or su(1) opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Session {
    /// The user.
    pub user: String,
    /// The lines of `/etc/security/limits.conf` that the session sees, with nothing in `limits.d`. Default:
    /// the files of this machine.
    pub limits_conf: Option<String>,
    /// Whether the PAM service of the session has a line for `pam_limits.so`. Without that line `limits.conf`
    /// does nothing. Default: the service of this machine.
    pub pam_limits: Option<bool>,
}

impl Default for Session {
    /// The user that every system has and that `*` in limits.conf means too, under this machine's own
    /// configuration.
    fn default() -> Self {
        Session { user: "nobody".into(), limits_conf: None, pam_limits: None }
    }
}

/// A systemd service.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Systemd")]
pub(super) struct RawSystemd {
    /// `LimitNOFILE=`: "SOFT:HARD", or one number for both. A value that may not be set becomes the nearest
    /// that may. Default: systemd's own, 1024:524288.
    pub limit_nofile: Option<String>,
}

/// A container.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Container")]
pub(super) struct RawContainer {
    /// `--ulimit nofile=`: "SOFT:HARD", or one number for both. Default: the limits of the container daemon.
    pub ulimit: Option<String>,
}
