//! `--send` and `--expect`: a dialogue in two options, whose steps are taken in the order on the command
//! line.

use crate::scenario::{Exchange, Step};
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};

/// The steps that were given.
#[derive(Debug, Clone, Default)]
pub struct Steps(Vec<Step>);

const SEND: &str = "send";
const EXPECT: &str = "expect";

impl Steps {
    /// The exchange of these steps; `None` where there are none.
    ///
    /// # Errors
    /// The fault, in words.
    pub fn exchange(&self) -> Result<Option<Exchange>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let nothing = "--send needs an --expect after it: what the server answers when it serves a client";
        checked(Exchange::of(self.0.clone()), nothing).map(Some)
    }

    /// The datagram that each client sends, and the answer that serves it.
    ///
    /// # Errors
    /// The fault, in words.
    pub fn datagram(&self) -> Result<Exchange, String> {
        let (send, expect) = match &self.0[..] {
            [send @ Step::Send(_)] => (send, None),
            [send @ Step::Send(_), Step::Read(expect)] => (send, Some(expect.as_str())),
            _ => {
                return Err(
                    "--udp needs one --send, the datagram, and at most one --expect after it, the answer"
                        .into(),
                );
            }
        };
        checked(Exchange::datagram(send.clone(), expect), "this datagram cannot be sent")
    }
}

/// The exchange, if it can be spoken; `otherwise`: the fault where no step has one.
fn checked(exchange: Exchange, otherwise: &str) -> Result<Exchange, String> {
    let Err(fault) = exchange.compile() else { return Ok(exchange) };
    Err(match fault.step.map(|step| &exchange.steps[step]) {
        Some(Step::Read(text)) => format!("--expect '{text}': {fault}"),
        Some(Step::Send(text)) => format!("--send '{text}': {fault}"),
        _ => otherwise.to_owned(),
    })
}

impl clap::Args for Steps {
    fn augment_args(command: Command) -> Command {
        let step = |name: &'static str, value: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name(value)
                .help(help)
                .action(ArgAction::Append)
                .allow_hyphen_values(true)
        };
        command
            .arg(step(
                SEND,
                "TEXT",
                r"Each client sends this text (escapes: \r \n \t \0 \\ \xHH; {client}: its number); with --expect, a dialogue in the order given",
            ))
            .arg(step(
                EXPECT,
                "PATTERN",
                "Each client waits until this pattern matches (a regular expression; ^ and $ at each line); after the last one it is served",
            ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Steps {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |name: &str, step: fn(String) -> Step| {
            let indices = matches.indices_of(name).into_iter().flatten();
            let texts = matches.get_many::<String>(name).into_iter().flatten().cloned();
            indices.zip(texts.map(step)).collect::<Vec<_>>()
        };
        let mut steps = given(SEND, Step::Send);
        steps.extend(given(EXPECT, Step::Read));
        steps.sort_by_key(|(index, _)| *index);
        Ok(Steps(steps.into_iter().map(|(_, step)| step).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Steps::from_arg_matches(matches)?;
        Ok(())
    }
}
