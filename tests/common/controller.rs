//! Controllers of Matter: matter.js and the CHIP SDK, each a program in tests/clients/matter that does one command
//! after the other.

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::fetched;
use crate::lan::Machine;

/// Longest time for a controller to do something: the CHIP SDK tries a wrong code again and again.
const ANSWER: Duration = Duration::from_secs(120);

/// Whose controller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Maker {
    MatterJs,
    Chip,
}

impl Maker {
    /// The label that its fabric gets.
    pub fn label(self) -> &'static str {
        match self {
            Maker::MatterJs => "Flat of Ana",
            Maker::Chip => "Flat of Ben",
        }
    }
}

/// A controller on a machine, that keeps what it has paired in its folder.
pub struct Controller {
    process: Child,
    lines: Receiver<String>,
    /// What it has reported since somebody looked.
    reports: VecDeque<Value>,
    pub name: Maker,
}

impl Controller {
    pub fn start(maker: Maker, machine: &Machine, folder: &Path) -> Controller {
        let programs = fetched("scripts/clients.sh", &["matter"]);
        let programs = programs.display();
        fs::create_dir_all(folder).unwrap();
        let folder = folder.display();
        let line = match maker {
            Maker::MatterJs => format!("exec node {programs}/controller.mjs {folder}"),
            Maker::Chip => format!(
                "exec unshare --mount sh -c 'mount --bind {folder} /mnt && \
                 exec {programs}/chip/bin/python {programs}/controller.py {folder} {programs}/paa'"
            ),
        };
        let mut process = machine
            .shell(&line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(format!("{folder}/log")).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut controller = Controller {
            process,
            lines,
            reports: VecDeque::new(),
            name: maker,
        };
        assert_eq!(controller.line(ANSWER).unwrap()["ready"], true, "{maker:?}");
        controller
    }

    /// The next line that it prints.
    fn line(&mut self, limit: Duration) -> Result<Value, String> {
        let line = self.lines.recv_timeout(limit);
        let line = line.map_err(|_| format!("says nothing for {limit:?}"))?;
        Ok(serde_json::from_str(&line).unwrap())
    }

    /// Lets it do this, and returns the result, or the error.
    pub fn attempt(&mut self, command: Value) -> Result<Value, String> {
        self.attempt_within(ANSWER, command)
    }

    /// The same, with less patience.
    pub fn attempt_within(&mut self, limit: Duration, command: Value) -> Result<Value, String> {
        let input = self.process.stdin.as_mut().unwrap();
        writeln!(input, "{command}").unwrap();
        loop {
            let mut line = self.line(limit)?;
            if line.get("endpoint").is_some() {
                self.reports.push_back(line);
            } else if let Some(error) = line["error"].as_str() {
                return Err(error.into());
            } else {
                return Ok(line["result"].take());
            }
        }
    }

    pub fn run(&mut self, command: Value) -> Value {
        let result = self.attempt(command.clone());
        result.unwrap_or_else(|error| panic!("{:?}: {command}: {error}", self.name))
    }

    pub fn read(&mut self, endpoint: u16, of: &str, attribute: &str) -> Value {
        self.run(json!({"command": "read", "endpoint": endpoint, "of": of, "attribute": attribute}))
    }

    /// Waits until it reports this, and returns what else it has reported of the attribute before.
    pub fn reports(
        &mut self,
        endpoint: u16,
        attribute: &str,
        value: impl Into<Value>,
    ) -> Vec<Value> {
        let (value, start) = (value.into(), Instant::now());
        let mut before = Vec::new();
        loop {
            while let Some(report) = self.reports.pop_front() {
                if (&report["endpoint"], &report["attribute"])
                    != (&json!(endpoint), &json!(attribute))
                {
                    continue;
                }
                if report["value"] == value {
                    return before;
                }
                before.push(report["value"].clone());
            }
            match self.lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => self.reports.push_back(serde_json::from_str(&line).unwrap()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("{:?} has ended", self.name),
            }
            assert!(
                start.elapsed() < ANSWER,
                "{:?}: no {attribute} {value}, but {before:?}",
                self.name
            );
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
