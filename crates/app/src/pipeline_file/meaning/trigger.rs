//! What `trigger` means.

use std::net::SocketAddr;

use chrono_tz::Tz;

use super::Findings;
use crate::pipeline_file::{
    did_you_mean,
    document::{self, TriggerKeys, TriggerWord},
    trigger::{Occasions, Schedule, Trigger, Webhook, zone},
};

impl Findings<'_> {
    pub(super) fn trigger(&mut self, typed: document::Trigger) -> Trigger {
        let TriggerKeys { every, cron, timezone, webhook } = match typed {
            document::Trigger::Word(TriggerWord::Always) => return Trigger::Always,
            document::Trigger::Word(TriggerWord::Demand) => return Trigger::Sweeps(Box::default()),
            document::Trigger::Keys(keys) => *keys,
        };
        if every.is_none() && cron.is_none() && webhook.is_none() {
            let hint = "write `every`, `cron` or `webhook` below it, or `trigger: demand`";
            self.add(&["trigger"], "`trigger` names no occasion to read", Some(hint));
        }
        if every.is_some_and(|every| every.0.is_zero()) {
            let hint = "leave `trigger` out to read always";
            self.add(&["trigger", "every"], "`every` of `trigger` must be longer than nothing", Some(hint));
        }
        if timezone.is_some() && cron.is_none() {
            let hint = "remove it, or add `cron`";
            self.add(
                &["trigger", "timezone"],
                "`timezone` of `trigger` is that of `cron`, which is not there",
                Some(hint),
            );
        }
        let zone = self.zone(timezone.as_deref().unwrap_or(document::DEFAULT_TIMEZONE));
        Trigger::Sweeps(Box::new(Occasions {
            every: every.map(|every| every.0),
            schedule: cron.and_then(|pattern| self.schedule(&pattern, zone)),
            webhook: webhook.and_then(|typed| self.webhook(typed)),
        }))
    }

    fn zone(&mut self, name: &str) -> Tz {
        zone(name).unwrap_or_else(|closest| {
            let hint = match closest {
                Some(closest) => did_you_mean(closest),
                None => "write a name of the IANA database, such as `Europe/Berlin`".to_owned(),
            };
            let message = format!("`timezone` of `trigger`: there is no time zone `{name}`");
            self.add(&["trigger", "timezone"], &message, Some(&hint));
            Tz::UTC
        })
    }

    fn schedule(&mut self, pattern: &str, zone: Tz) -> Option<Schedule> {
        let parsed = Schedule::parse(pattern, zone);
        parsed
            .map_err(|reason| {
                let message = format!("`cron` of `trigger` is no pattern of times: {reason}");
                let hint =
                    "write minutes, hours, day of month, month and day of week, such as `30 6 * * MON-FRI`";
                self.add(&["trigger", "cron"], &message, Some(hint));
            })
            .ok()
    }

    fn webhook(&mut self, typed: document::Webhook) -> Option<Webhook> {
        let document::Webhook { listen: text, path, secret } = typed;
        if !is_path(&path) {
            let message = format!("`path` of `webhook` cannot be `{path}`");
            let hint = "write a path such as `/trigger`, of letters, digits, `-`, `_`, `.`, `~` and `/`";
            self.add(&["trigger", "webhook", "path"], &message, Some(hint));
        }
        if secret.as_ref().is_some_and(|secret| secret.expose().trim().is_empty()) {
            let hint = "give it a value, or leave it out where only this machine can reach the address";
            self.add(&["trigger", "webhook", "secret"], "`secret` of `webhook` is empty", Some(hint));
        }
        let Ok(listen) = text.parse::<SocketAddr>() else {
            let message = format!("`listen` of `webhook` must be an address and a port, not `{text}`");
            self.add(
                &["trigger", "webhook", "listen"],
                &message,
                Some("write `127.0.0.1:8091`, for instance"),
            );
            return None;
        };
        if !listen.ip().is_loopback() && secret.is_none() {
            let message =
                format!("others than this machine can reach `{listen}`, and `webhook` asks for no secret");
            let hint = "add `secret: ${TRIGGER_SECRET}`, or listen at 127.0.0.1";
            self.add(&["trigger", "webhook"], &message, Some(hint));
        }
        Some(Webhook { listen, path, secret })
    }
}

/// Whether `path` reads the same however it is encoded.
fn is_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    path.starts_with('/') && path.bytes().all(is_plain)
}
