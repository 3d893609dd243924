//! The outages: configurations, upstreams and calls, shared by the tests and by `benchmarks/outage`.

use std::fmt::Write as _;
use std::sync::Arc;

use fairlead::Error;
use fairlead::config::Config;
use fairlead::simulate::{Outcome, Poisson, Policy, Scenario, Trace, run};

/// One outage: who is there, what happens to them, and what comes.
#[derive(Clone, Debug)]
pub struct Scene {
    pub name: &'static str,
    pub config: String,
    pub scenario: String,
    pub calls: Poisson,
}

impl Scene {
    pub fn trace(&self, seed: u64) -> Arc<Trace> {
        Arc::new(self.calls.trace(seed))
    }

    pub fn run(&self, policy: Policy, seed: u64) -> Result<Outcome, Error> {
        self.run_over(&self.config, policy, seed)
    }

    pub fn run_over(&self, config: &str, policy: Policy, seed: u64) -> Result<Outcome, Error> {
        let config: Config = toml::from_str(config).expect("the configuration is one");
        run(&config, policy, &Scenario::read(&self.scenario)?, &self.trace(seed), seed)
    }
}

/// Who listens where, and more of it.
type Host<'a> = (&'a str, &'a str);

/// The model `m` at these hosts; `extra` is TOML before it.
pub fn config(extra: &str, strategy: &str, hosts: &[Host<'_>]) -> String {
    let mut text = format!("{extra}\n[models.m]\nstrategy = \"{strategy}\"\n");
    for (host, more) in hosts {
        let _ = write!(
            text,
            "[[models.m.deployments]]\nid = \"{host}\"\nprovider = \"openai\"\nmodel = \"up\"\n\
             base_url = \"http://{host}.test/v1\"\n{more}\n"
        );
    }
    text
}

/// What the reference has: no answer is waited for longer than 15 s.
pub const LIMITS: &str = "timeouts = { first_token = 15, attempt = 15 }";

/// Prompts are short, as their length changes nothing here but the time it takes.
pub fn calls(rate: f64, seconds: f64) -> Poisson {
    Poisson { rate, seconds, model: Some("m".to_owned()), input: 40.0, ..Poisson::default() }
}

/// Ten bad minutes of twenty, at the provider that is asked first.
pub fn t1() -> Scene {
    Scene {
        name: "T1: 3 min of 503, 3 min of brown-out, 2 min of black hole, 2 min of 429",
        config: config(LIMITS, "ordered", &[("a", ""), ("b", "")]),
        scenario: include_str!("t1.toml").to_owned(),
        calls: calls(20.0, 1200.0),
    }
}

/// Two of three are in a region where a third of the requests fails and the rest is four times as slow.
pub fn regional() -> Scene {
    let eu = "region = \"eu-1\"";
    Scene {
        name: "regional brown-out: 30 % fail, the rest is 4 times as slow, at two of three for 5 min",
        config: config(LIMITS, "weighted", &[("a", eu), ("b", eu), ("c", "region = \"us-1\"")]),
        scenario: "[upstreams.\"*\"]\nper_token = 0.006\nspread = 0.3\n[[phases]]\nregions = [\"eu-*\"]\nfrom = 120\n\
                   to = 420\nfault = \"overloaded\"\nshare = 0.3\nslower = 4"
            .to_owned(),
        calls: calls(10.0, 600.0),
    }
}

/// The provider that is asked first takes half of what comes.
pub fn storm() -> Scene {
    Scene {
        name: "429 storm: the first of two takes 300 requests a minute, 600 come",
        config: config(LIMITS, "ordered", &[("a", ""), ("b", "")]),
        scenario:
            "[upstreams.\"*\"]\nper_token = 0.006\nspread = 0.3\n[upstreams.a]\nrequests_per_minute = 300\n\
                   per_token = 0.006\nspread = 0.3\n[[phases]]\ndeployments = [\"a\"]"
                .to_owned(),
        calls: calls(10.0, 600.0),
    }
}

/// More and more answers are none.
pub fn poison() -> Scene {
    Scene {
        name: "slow poison: from 0 to all answers of the first of two are HTML with status 200, over 5 min",
        config: config(LIMITS, "ordered", &[("a", ""), ("b", "")]),
        scenario: "[upstreams.\"*\"]\nper_token = 0.006\nspread = 0.3\n[[phases]]\ndeployments = [\"a\"]\nfrom = 60\n\
                   to = 360\nfault = \"garbage\"\ngrows = true"
            .to_owned(),
        calls: calls(10.0, 600.0),
    }
}

/// Up for a second, down for a second.
pub fn flapping() -> Scene {
    Scene {
        name: "flapping: the first of two refuses connections every other second, for 5 min",
        config: config(LIMITS, "ordered", &[("a", ""), ("b", "")]),
        scenario: "[upstreams.\"*\"]\nper_token = 0.006\nspread = 0.3\n[[phases]]\ndeployments = [\"a\"]\nfrom = 60\n\
                   to = 360\nfault = \"refuse\"\nflaps = [1, 1]"
            .to_owned(),
        calls: calls(10.0, 600.0),
    }
}

/// Three equal hosts with few workers, where one answer of fifty takes many times as long.
pub fn heavy_tail() -> Scene {
    Scene {
        name: "heavy tail: three equal hosts, 2 % of the answers take up to 100 times as long",
        config: config("", "weighted", &[("a", ""), ("b", ""), ("c", "")]),
        scenario: "[upstreams.\"*\"]\nper_token = 0.006\nspread = 0.3\ntail_share = 0.02\ntail_shape = 0.7\nworkers = 12"
            .to_owned(),
        calls: calls(10.0, 1200.0),
    }
}

/// The configurations that the heavy tail is met with.
pub fn against_tails() -> [(&'static str, String); 4] {
    let hosts = [("a", ""), ("b", ""), ("c", "")];
    let hedge = "hedge = { enabled = true }";
    [
        ("none", config("", "weighted", &hosts)),
        ("least busy", config("", "least_busy", &hosts)),
        ("hedging", config(hedge, "weighted", &hosts)),
        ("both", config(hedge, "least_busy", &hosts)),
    ]
}

/// Everything that can happen to one answer, at the first of two, for five of ten minutes.
pub const FAULTS: [&str; 12] = [
    "refuse",
    "error",
    "unavailable",
    "overloaded",
    "throttled",
    "hang",
    "garbage",
    "reset",
    "cut_preamble",
    "cut_content",
    "cut_finish",
    "stall",
];

/// The scene of one of them.
pub fn failover(fault: &str, streams: f64) -> Scene {
    Scene {
        name: "failover",
        config: config(
            "timeouts = { first_token = 15, attempt = 15, idle = 15 }",
            "ordered",
            &[("a", ""), ("b", "")],
        ),
        scenario: format!(
            "[upstreams.\"*\"]\nper_token = 0.006\nspread = 0.3\n[[phases]]\ndeployments = [\"a\"]\nfrom = 120\nto = 420\n\
             fault = \"{fault}\"",
        ),
        calls: Poisson { streams, ..calls(5.0, 600.0) },
    }
}
