//! One bad hour, the same for every strategy: what it hurts is the table of docs/strategies.md.
//!
//! Four hosts, two calls a second. `amber` is fast and dear, and answers nothing from minute 10 to 20; `birch` is ten
//! times as slow from minute 30 to 40; `cedar` is cheap and takes three requests at once, all others get a 429;
//! `delta` is steady. A call is hurt if it fails, if it needs more than one attempt, or if it takes longer than 8 s.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fairlead::clock::{Rng, now};
use parking_lot::Mutex;

use super::support::scripted::{Meets, status};
use super::support::simulated::{Behaviour, Fleet, Scene, jitter, wrote};
use super::{call, config, is_soak, receipt, seconds};

const STRATEGIES: [&str; 6] = ["ordered", "weighted", "latency", "cost", "least_busy", "adaptive"];
const HOSTS: [&str; 4] = ["amber", "birch", "cedar", "delta"];
const PRICES: [(u32, u32); 4] = [(3, 15), (2, 10), (1, 5), (3, 15)];
/// Calls a second.
const RATE: f64 = 2.0;
const HURT: Duration = Duration::from_secs(8);
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/strategies.md");

/// One call, as its caller saw it.
struct Told {
    at: Duration,
    took: Duration,
    attempts: usize,
    deployment: Option<String>,
    cost: f64,
}

impl Told {
    fn is_hurt(&self) -> bool {
        self.deployment.is_none() || self.attempts > 1 || self.took > HURT
    }
}

/// Answers at `first` seconds to the first token and `each` a token.
fn answers(scene: &Scene, first: f64, each: f64) -> (Duration, Meets) {
    let tokens = 50.0 + 300.0 * scene.luck[2];
    (seconds(first * jitter(scene.luck) + each * tokens), wrote(tokens as u64))
}

fn fleet(seed: u64) -> Fleet {
    let amber: Behaviour = Box::new(|scene| match scene.minute() {
        10..20 => (Duration::ZERO, Meets::Never),
        _ => answers(scene, 0.4, 0.006),
    });
    let birch: Behaviour = Box::new(|scene| match scene.minute() {
        30..40 => answers(scene, 6.0, 0.08),
        _ => answers(scene, 0.6, 0.008),
    });
    let cedar: Behaviour = Box::new(|scene| match scene.in_flight {
        4.. => (seconds(0.05), status(429)),
        _ => answers(scene, 0.7, 0.01),
    });
    let delta: Behaviour = Box::new(|scene| answers(scene, 0.8, 0.01));
    Fleet::new(vec![("amber", amber), ("birch", birch), ("cedar", cedar), ("delta", delta)], seed)
}

async fn hour(strategy: &str, seed: u64) -> (Fleet, Vec<Told>) {
    let fleet = fleet(seed);
    let prices = PRICES.map(|(input, output)| format!("price = {{ input = {input}, output = {output} }}"));
    let hosts: Vec<(&str, &str)> = HOSTS.into_iter().zip(prices.iter().map(String::as_str)).collect();
    let engine = fleet.engine(&config(strategy, &hosts, "timeouts = { attempt = 20, total = 60 }"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let (begun, chance) = (now(), Rng::seeded(seed + 1));
    while now() - begun < seconds(3600.0) {
        let (engine, told, at) = (Arc::clone(&engine), Arc::clone(&told), now());
        tokio::spawn(async move {
            let outcome = receipt(&engine, call()).await;
            let took = now() - at;
            let at = at - begun;
            told.lock().push(match outcome {
                Ok(receipt) => Told {
                    at,
                    took,
                    attempts: receipt.attempts.len(),
                    deployment: Some(receipt.deployment.to_string()),
                    cost: receipt.cost_usd.unwrap(),
                },
                Err(error) => {
                    Told { at, took, attempts: error.attempts().len(), deployment: None, cost: 0.0 }
                }
            });
        });
        tokio::time::sleep(seconds(-(1.0 - chance.unit()).ln() / RATE)).await;
    }
    tokio::time::sleep(seconds(120.0)).await;
    let told = std::mem::take(&mut *told.lock());
    (fleet, told)
}

fn percentile(told: &[Told], share: f64) -> f64 {
    let mut all: Vec<f64> = told.iter().map(|told| told.took.as_secs_f64()).collect();
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * share) as usize]
}

fn share(told: &[Told], of: impl Fn(&Told) -> bool) -> f64 {
    told.iter().filter(|told| of(told)).count() as f64 / told.len() as f64
}

/// The share of calls that a deployment answered between two minutes.
fn served(told: &[Told], host: &str, from: f64, to: f64) -> f64 {
    let span = seconds(from * 60.0)..seconds(to * 60.0);
    let within: Vec<&Told> = told.iter().filter(|told| span.contains(&told.at)).collect();
    let own = within.iter().filter(|told| told.deployment.as_deref() == Some(host)).count();
    own as f64 / within.len() as f64
}

fn row(strategy: &str, told: &[Told]) -> String {
    let cost = told.iter().map(|told| told.cost).sum::<f64>() / told.len() as f64 * 1000.0;
    let mut row = format!(
        "| `{strategy}` | {:.1} % | {:.2} % | {:.1} s | {:.1} s | ${cost:.2} |",
        share(told, Told::is_hurt) * 100.0,
        share(told, |told| told.deployment.is_none()) * 100.0,
        percentile(told, 0.5),
        percentile(told, 0.99),
    );
    for host in HOSTS {
        let _ = write!(row, " {:.0} % |", served(told, host, 0.0, 60.0) * 100.0);
    }
    row
}

/// Where the rows of the table stand among the lines of the page.
fn place_of_rows(lines: &[&str]) -> Range<usize> {
    let first = 2 + lines.iter().position(|line| line.starts_with("| strategy | hurt |")).unwrap();
    first..first + lines[first..].iter().take_while(|line| line.starts_with('|')).count()
}

/// The page with these rows.
fn with_rows(page: &str, rows: &[String]) -> String {
    let mut lines: Vec<&str> = page.lines().collect();
    let place = place_of_rows(&lines);
    lines.splice(place, rows.iter().map(String::as_str));
    lines.join("\n") + "\n"
}

fn numbers(row: &str) -> impl Iterator<Item = f64> {
    row.split(['|', ' ', '$']).filter_map(|word| word.parse().ok())
}

/// Equal but for the last bits of logarithms, which systems round differently, and what follows from them.
fn near(told: f64, true_one: f64) -> bool {
    (told - true_one).abs() <= 0.3 + 0.15 * told.max(true_one)
}

#[tokio::test(start_paused = true)]
async fn the_page_tells_what_one_bad_hour_does_to_each_strategy() {
    let mut rows = Vec::new();
    for strategy in STRATEGIES {
        let (_, told) = hour(strategy, 1).await;
        rows.push(row(strategy, &told));
    }
    println!("{}", rows.join("\n"));
    let page = std::fs::read_to_string(PAGE).unwrap();
    if std::env::var_os("FAIRLEAD_WRITE_TABLE").is_some() {
        std::fs::write(PAGE, with_rows(&page, &rows)).unwrap();
        return;
    }
    let lines: Vec<&str> = page.lines().collect();
    let told = &lines[place_of_rows(&lines)];
    assert_eq!(told.len(), rows.len(), "{told:?}");
    for (told, row) in told.iter().zip(&rows) {
        assert_eq!(told.split('|').nth(1), row.split('|').nth(1));
        let agree = numbers(told).count() == numbers(row).count()
            && numbers(told).zip(numbers(row)).all(|(told, true_one)| near(told, true_one));
        assert!(agree, "docs/strategies.md says {told}, `make strategies` writes {row}");
    }
}

#[test]
fn writing_the_table_changes_its_rows_alone() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let row = "| `ordered` | 1 % |".to_owned();
    let written = with_rows(&page, std::slice::from_ref(&row));
    let (before, after): (Vec<&str>, Vec<&str>) = (page.lines().collect(), written.lines().collect());
    let (place, new) = (place_of_rows(&before), place_of_rows(&after));
    assert_eq!(before[..place.start], after[..new.start]);
    assert_eq!(after[new.clone()], [row.as_str()]);
    assert_eq!(before[place.end..], after[new.end..]);
}

#[test]
fn the_page_says_who_goes_first_with_each_strategy() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let table = page.split("| strategy | who goes first |").nth(1).unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let names: Vec<&str> = rows.iter().filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(names, STRATEGIES);
}

#[tokio::test(start_paused = true)]
async fn every_strategy_leaves_the_dead_and_the_slow_within_seconds_and_returns() {
    let seeds = if is_soak() { 10..30 } else { 10..11 };
    for seed in seeds {
        for strategy in STRATEGIES {
            let (fleet, told) = hour(strategy, seed).await;
            let case = format!("{strategy}, seed {seed}");
            assert!(share(&told, |told| told.deployment.is_none()) < 0.001, "{case}: a call failed");
            let asked = |host, from: f64, to: f64| fleet.asked(host, seconds(from), seconds(to));
            // Nothing can be known before the first attempts have waited out their 20 s.
            let dead = asked("amber", 622.0, 1200.0);
            assert!(dead <= 30, "{case}: asked while dead {dead} times of about 1150");
            let moving = ["latency", "adaptive"].contains(&strategy);
            let slow = asked("birch", 1830.0, 2400.0);
            assert!(!moving || slow <= 90, "{case}: asked while slow {slow} times of about 1140");
            let back = served(&told, "amber", 25.0, 30.0);
            assert!(strategy == "cost" || back > 0.1, "{case}: back for {back} of the calls");
            assert!(share(&told, Told::is_hurt) < 0.15, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_hour() {
    let (_, one) = hour("adaptive", 3).await;
    let (_, other) = hour("adaptive", 3).await;
    let lines = |told: &[Told]| -> Vec<(Duration, Duration)> {
        told.iter().map(|told| (told.at, told.took)).collect()
    };
    assert_eq!(lines(&one), lines(&other));
    let used: BTreeMap<&str, f64> =
        HOSTS.into_iter().map(|host| (host, served(&one, host, 0.0, 60.0))).collect();
    assert!(used.values().all(|share| *share > 0.02), "exploration reaches everybody: {used:?}");
}
