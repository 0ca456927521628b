//! axe-core, which knows the rules of accessibility.

use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::Window;
use crate::common::fetched;

static AXE: LazyLock<String> =
    LazyLock::new(|| fs::read_to_string(fetched("scripts/axe.sh", &[])).unwrap());

/// Without these the size of what one taps, a rule of WCAG 2.2, is left out.
const OPTIONS: &str = "{ rules: { 'target-size': { enabled: true } } }";

impl Window {
    /// Asserts that the page, in this state, breaks none of axe-core's rules: those of WCAG 2.2 A and AA, and
    /// what it calls best practice.
    pub async fn is_accessible(&self, state: &str) {
        self.settled().await;
        if self.eval("!window.axe").await == true {
            self.run(&AXE).await;
        }
        let result = self.eval(&format!("axe.run({OPTIONS})")).await;
        let violations = result["violations"].as_array().unwrap();
        let broken: Vec<String> = violations.iter().map(describe).collect();
        assert!(broken.is_empty(), "{state}:\n{}", broken.join("\n"));
        assert!(!result["passes"].as_array().unwrap().is_empty());
    }
}

/// The rule, and each element that breaks it.
fn describe(violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().unwrap().iter();
    let nodes = nodes.map(|node| format!("  {}: {}", node["html"], node["failureSummary"]));
    let nodes: Vec<String> = nodes.collect();
    format!(
        "{}: {}\n{}",
        violation["id"],
        violation["help"],
        nodes.join("\n")
    )
}
