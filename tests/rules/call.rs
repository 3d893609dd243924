//! A call to evaluate conditions on: as the engine sees it, and as plain values.

use std::collections::BTreeMap;

use fairlead::call::CallOptions;
use fairlead::chat::facts::{Facts, Session, SessionKind};
use fairlead::route::context::Context;

use crate::reference::Value;

/// What a call says; everything that conditions can read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) facts: Facts,
    pub(crate) options: CallOptions,
    pub(crate) capabilities: Vec<String>,
    pub(crate) hour: u8,
    pub(crate) weekday: u8,
}

impl Call {
    pub(crate) fn saying(user_input: &str) -> Self {
        Self { facts: Facts { last_user_text: user_input.into(), ..Facts::default() }, ..Self::default() }
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.options.metadata.push((key.into(), value.into()));
        self
    }

    pub(crate) fn context(&self) -> Context<'_> {
        let mut context = Context::new(&self.facts, &self.options);
        context.capabilities = &self.capabilities;
        context.hour = self.hour;
        context.weekday = self.weekday;
        context
    }

    /// The names of the language and their values.
    pub(crate) fn values(&self) -> BTreeMap<&'static str, Value> {
        let text = |text: &str| Value::Text(text.to_owned());
        let optional = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        let number = |number: Option<u64>| {
            number.map_or(Value::Null, |number| Value::Int(number.min(i64::MAX as u64) as i64))
        };
        let mut metadata = BTreeMap::new();
        for (key, value) in self.facts.metadata.iter().chain(&self.options.metadata) {
            metadata.insert(key.clone(), value.clone());
        }
        let mut headers = BTreeMap::new();
        for (name, value) in &self.options.headers {
            match value {
                Some(value) => headers.insert(name.to_lowercase(), value.clone()),
                None => headers.remove(&name.to_lowercase()),
            };
        }
        let mut needs = Vec::new();
        let flags = [
            ("json_schema", self.facts.needs_json_schema),
            ("json_object", self.facts.needs_json_object),
            ("tools", self.facts.has_tools),
            ("vision", self.facts.has_images),
            ("reasoning", self.facts.needs_reasoning),
        ];
        needs.extend(flags.iter().filter(|(_, needed)| *needed).map(|(name, _)| text(name)));
        let user = self.options.user.clone().or_else(|| self.facts.user.clone());
        let named = self.facts.session.as_ref().map(|session| session.value.clone());
        let model = Some(self.facts.model.clone()).filter(|model| !model.is_empty());
        BTreeMap::from([
            ("user_input", text(&self.facts.last_user_text)),
            ("last_user_text", text(&self.facts.last_user_text)),
            ("text", text(&self.facts.text)),
            ("system", text(&self.facts.system)),
            ("tokens", Value::Int(self.facts.body_bytes.div_ceil(4) as i64)),
            ("has_tools", Value::Bool(self.facts.has_tools)),
            ("has_images", Value::Bool(self.facts.has_images)),
            ("stream", Value::Bool(self.facts.stream)),
            ("needs", Value::List(needs)),
            ("messages", Value::Int(self.facts.messages as i64)),
            ("max_output", number(self.facts.max_output)),
            ("metadata", Value::Map(metadata.clone())),
            ("user_metadata", Value::Map(metadata)),
            ("user", optional(&user)),
            ("tenant", optional(&self.options.tenant)),
            ("key", optional(&self.options.key)),
            ("session", optional(&self.options.session.clone().or(named))),
            ("headers", Value::Headers(headers)),
            ("model", optional(&model)),
            ("capabilities", Value::List(self.capabilities.iter().map(|tag| text(tag)).collect())),
            ("priority", number(self.options.priority.map(u64::from))),
            ("path", text("/chat/completions")),
            ("hour", number(Some(self.hour.into()))),
            ("weekday", number(Some(self.weekday.into()))),
        ])
    }
}

/// A conversation as a request names it.
pub(crate) fn session(value: &str) -> Session {
    Session { kind: SessionKind::Thread, value: value.into() }
}
