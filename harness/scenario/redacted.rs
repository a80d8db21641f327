//! A plan as it is written: its commands and variables without what looks like a secret, or without any
//! argument.

use super::model::{Plan, Program};
use super::setting::{ReadyWhen, Stdin};
use crate::event::{HIDDEN, Redaction};

impl Plan {
    /// The redaction that applies to everything that is written about this plan and its run.
    pub fn redaction(&self, all: bool) -> Redaction {
        let mut redaction = Redaction::new(all);
        for process in self.processes.values() {
            if let Program::Command(words) = &process.program {
                redaction.learn(words);
            }
            process.env.iter().for_each(|(name, value)| redaction.learn_variable(name, value));
        }
        for process in self.processes.values() {
            let setting = &process.setting;
            setting.prepare.iter().for_each(|prepare| redaction.learn(&prepare.run));
            if let Some(ReadyWhen::Command(words)) = &setting.ready {
                redaction.learn(words);
            }
            if let Some(Stdin::Text(text)) = &setting.stdin {
                text.lines().for_each(|line| redaction.learn_variable("stdin", line));
            }
        }
        for program in self.workloads.values().filter_map(|workload| workload.program.as_ref()) {
            redaction.learn(&program.run);
            program.env.iter().for_each(|(name, value)| redaction.learn_variable(name, value));
        }
        redaction
    }

    /// The plan as it may be written; it can still be measured, judged and reported, but not run.
    pub fn redacted(&self, redaction: &Redaction) -> Plan {
        let mut plan = self.clone();
        for process in plan.processes.values_mut() {
            if let Program::Command(words) = &mut process.program {
                let shown = redaction.words(words);
                // Placeholders show which process connects to which: no secret, so hidden ones are put back.
                let lost = placeholders(words).into_iter().filter(|p| !placeholders(&shown).contains(p));
                // `find` puts its command into the claim, where it has already hidden the secrets that it
                // knows.
                for told in [&*words, &Redaction::default().words(words)] {
                    plan.claim = plan.claim.replace(&shell_words::join(told), &shell_words::join(&shown));
                }
                *words = shown.iter().cloned().chain(lost).collect();
            }
            if let Some(prepare) = &mut process.setting.prepare {
                prepare.run = redaction.words(&prepare.run);
            }
            if let Some(ReadyWhen::Command(words)) = &mut process.setting.ready {
                *words = redaction.words(words);
            }
            if let Some(Stdin::Text(text)) = &mut process.setting.stdin {
                *text = HIDDEN.into();
            }
            for (name, value) in &mut process.env {
                *value = redaction.variable(name, value);
            }
        }
        for workload in plan.workloads.values_mut() {
            workload.path = redaction.path(&workload.path);
            if let Some(program) = &mut workload.program {
                program.run = redaction.words(&program.run);
                program.env.iter_mut().for_each(|(name, value)| *value = redaction.variable(name, value));
            }
        }
        plan.claim = redaction.text(&plan.claim);
        plan.believed = plan.believed.map(|text| redaction.text(&text));
        plan
    }
}

/// The placeholders in the words: `{port}`, `{name.port}` and their kin.
fn placeholders(words: &[String]) -> Vec<String> {
    let each = |word: &String| {
        let parts: Vec<&str> =
            word.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
        parts
            .into_iter()
            .filter(|name| !name.contains(char::is_whitespace))
            .map(|name| format!("{{{name}}}"))
            .collect::<Vec<_>>()
    };
    words.iter().flat_map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_surrounds_a_process_is_searched_for_secrets_too_and_a_placeholder_is_none() {
        let text = "claim = 'c'\n[processes.s]\ncommand = ['./s', '-key', '{key}', '{port}']\n\
                    limits = { soft = 64, hard = 64 }\nstdin = 'password=hunter2'\n\
                    ready = { command = ['ask', '--token', 'swordfish'] }\n[workloads.w]\ntcp = {}\n";
        let plan = crate::scenario::parse(text, "x.toml", "x", std::path::Path::new(".")).unwrap().remove(0);
        let redaction = plan.redaction(false);
        assert_eq!(redaction.text("hunter2 and swordfish"), "… and …");
        let told = plan.redacted(&redaction).processes["s"].clone();
        assert!(
            matches!(&told.program, Program::Command(words) if words.join(" ") == "./s -key {key} {port}")
        );
    }
}
