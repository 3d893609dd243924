//! One line of the table, read: cells to numbers, `a -b` to capabilities, `input=3 output=15` to rates.

use super::{Capabilities, Entry, Known};
use crate::provider::price::{Fees, Hours, Nano, Prices, Rates, Schedule};

/// Digits after the point of a dollar that make a nano-dollar.
const NANO: u32 = 9;

/// Reads a line; `None` if it is not one.
pub(super) fn read(line: &'static str) -> Option<Entry> {
    let mut cells = line.split('\t');
    let mut next = || cells.next();
    let mut entry = Entry { provider: next()?, model: next()?, mode: next()?, ..Entry::default() };
    entry.context_window = next()?.parse().ok();
    entry.max_output = next()?.parse().ok();
    let (inputs, outputs) = next()?.split_once('>').unwrap_or_default();
    entry.inputs = inputs.split_terminator(',').collect();
    entry.outputs = outputs.split_terminator(',').collect();
    entry.capabilities = capabilities(next()?);
    entry.rejects = next()?.split_ascii_whitespace().collect();
    entry.prices = prices(next()?)?;
    entry.since = next().filter(|cell| !cell.is_empty());
    entry.retires = next().filter(|cell| !cell.is_empty());
    entry.source = next()?;
    Some(entry)
}

fn capabilities(cell: &str) -> Capabilities {
    let mut capabilities = Capabilities::default();
    for word in cell.split_ascii_whitespace() {
        let (name, known) = word.strip_prefix('-').map_or((word, Known::Yes), |name| (name, Known::No));
        let place = match name {
            "tools" => &mut capabilities.tools,
            "parallel_tools" => &mut capabilities.parallel_tools,
            "vision" => &mut capabilities.vision,
            "json_schema" => &mut capabilities.json_schema,
            "reasoning" => &mut capabilities.reasoning,
            "audio" => &mut capabilities.audio,
            "pdf" => &mut capabilities.pdf,
            "cache" => &mut capabilities.prompt_cache,
            _ => continue,
        };
        *place = known;
    }
    capabilities
}

/// The prices in a cell, `None` where it is empty; nothing at all if it cannot be read.
#[expect(clippy::option_option, reason = "an unreadable cell is not an empty one")]
fn prices(cell: &str) -> Option<Option<Prices>> {
    if cell.is_empty() {
        return Some(None);
    }
    let mut prices = Prices::default();
    for level in cell.split(" | ") {
        let (name, _) = level.split_once(' ').unwrap_or((level, ""));
        match name.split_once('@').map_or(name, |(name, _)| name) {
            "batch" => prices.batch = Some(schedule(level, &mut Fees::default())?),
            "flex" => prices.flex = Some(schedule(level, &mut Fees::default())?),
            "priority" => prices.priority = Some(schedule(level, &mut Fees::default())?),
            "off_peak" => {
                prices.off_peak =
                    Some((hours(name.split_once('@')?.1)?, schedule(level, &mut Fees::default())?));
            }
            _ => prices.standard = schedule(level, &mut prices.fees)?,
        }
    }
    Some(Some(prices))
}

/// `input=3 output=15 >200000 input=6 output=22.5`; a word without `=` names the level.
fn schedule(level: &str, fees: &mut Fees) -> Option<Schedule> {
    let mut schedule = Schedule::default();
    for word in level.split(' ') {
        if let Some(above) = word.strip_prefix('>') {
            schedule.tiers.push((above.parse().ok()?, Rates::default()));
        } else if let Some((class, price)) = word.split_once('=') {
            let rates = schedule.tiers.last_mut().map_or(&mut schedule.base, |(_, rates)| rates);
            set(rates, fees, class, decimal(price, NANO)?)?;
        }
    }
    Some(schedule)
}

fn set(rates: &mut Rates, fees: &mut Fees, class: &str, price: u64) -> Option<()> {
    let place = match class {
        "input" => &mut rates.input,
        "output" => &mut rates.output,
        "cached" => &mut rates.cached,
        "write" => &mut rates.write,
        "write_1h" => &mut rates.write_1h,
        "reasoning" => &mut rates.reasoning,
        "audio_in" => &mut rates.audio_in,
        "audio_cached" => &mut rates.audio_cached,
        "audio_out" => &mut rates.audio_out,
        "image_in" => &mut rates.image_in,
        "image_out" => &mut rates.image_out,
        _ => return fee(fees, class, price),
    };
    *place = Some(price);
    Some(())
}

fn fee(fees: &mut Fees, class: &str, price: u64) -> Option<()> {
    let place = match class {
        "request" => &mut fees.request,
        "image" => &mut fees.image,
        "second" => &mut fees.second,
        _ => return None,
    };
    *place = Some(Nano(price));
    Some(())
}

/// `12345:0-1,4-6;67:0-24`: days of the week from 1, Monday, and hours from and until.
fn hours(text: &str) -> Option<Hours> {
    let mut hours = Hours::default();
    for window in text.split(';') {
        let (days, spans) = window.split_once(':')?;
        for span in spans.split(',') {
            let (from, until) = span.split_once('-')?;
            let (from, until): (u32, u32) = (from.parse().ok()?, until.parse().ok()?);
            let bits = (from..until.min(24)).fold(0, |bits, hour| bits | 1 << hour);
            for day in days.bytes() {
                *hours.0.get_mut(usize::from(day.checked_sub(b'1')?))? |= bits;
            }
        }
    }
    Some(hours)
}

/// A decimal as a whole number of its `digits`-th place, `0.075` with 9 as 75,000,000; further digits are rounded,
/// half up.
pub(crate) fn decimal(text: &str, digits: u32) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = usize::try_from(digits).ok()?;
    let kept = part.get(..digits.min(part.len()))?;
    if !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(digits).ok()?)?;
    let fraction: u64 = format!("{kept:0<digits$}").parse().unwrap_or(0);
    let up = u64::from(part.as_bytes().get(digits).is_some_and(|digit| *digit >= b'5'));
    whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(fraction)?.checked_add(up)
}
