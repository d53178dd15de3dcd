//! Placeholders in a preset's strings: `${name}`, `${name:quoted}`, and `$${` for a plain `${`. Knows their names and
//! values, not what they stand for.

use std::borrow::Cow;

use serde_json::Value;

/// The placeholders that may stand anywhere but in arguments that others can see.
pub(super) const SECRET: &str = "identity";
/// The placeholders that arguments may hold.
pub(super) const PUBLIC: [&str; 4] = ["compere", "socket", "dir", "shell"];
/// The placeholder of a first message.
pub(super) const MESSAGE: &str = "message";
/// The placeholder of a session's id.
pub(super) const SESSION: &str = "session";

const QUOTED: &str = ":quoted";

/// Puts values in the places of their names. What a value holds is not looked at again.
///
/// The error is the placeholder that `value` has nothing for, or that has no end.
pub(super) fn fill<'a, F>(text: &str, value: F) -> Result<String, String>
where
    F: Fn(&str) -> Option<Cow<'a, str>>,
{
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        let after = &rest[start + 2..];
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = after;
            continue;
        }
        let end = after.find('}').ok_or_else(|| rest[start..].to_string())?;
        let placeholder = &after[..end];
        let (name, quoted) = match placeholder.strip_suffix(QUOTED) {
            Some(name) => (name, true),
            None => (placeholder, false),
        };
        let value = value(name).ok_or_else(|| format!("${{{placeholder}}}"))?;
        filled.push_str(before);
        if quoted {
            filled.push_str(&Value::from(value.as_ref()).to_string());
        } else {
            filled.push_str(&value);
        }
        rest = &after[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// [`fill`], for every string inside a JSON value. Keys stay as they are.
pub(super) fn fill_json<'a, F>(json: &Value, value: &F) -> Result<Value, String>
where
    F: Fn(&str) -> Option<Cow<'a, str>>,
{
    Ok(match json {
        Value::String(text) => Value::String(fill(text, value)?),
        Value::Array(items) => items.iter().map(|item| fill_json(item, value)).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let field = |(key, inner): (&String, &Value)| Ok((key.clone(), fill_json(inner, value)?));
            Value::Object(fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

/// A filled JSON value as an argument or a variable: a string as it is, the rest as JSON on one line.
pub(super) fn flat(json: Value) -> String {
    match json {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(name: &str) -> Option<Cow<'static, str>> {
        match name {
            "dir" => Some("/d".into()),
            "odd" => Some("a\"${dir}\\".into()),
            _ => None,
        }
    }

    #[test]
    fn values_take_the_places_of_their_names_once() {
        for (text, filled) in [
            ("", "".into()),
            ("plain $HOME {x}", "plain $HOME {x}".into()),
            ("${dir}/a ${dir}", "/d/a /d".into()),
            ("${odd}", "a\"${dir}\\".into()),
            ("x=${odd:quoted}", r#"x="a\"${dir}\\""#.into()),
            ("$${dir} ${dir}", "${dir} /d".into()),
            ("é${dir}漢", "é/d漢".into()),
        ] as [(&str, String); 7]
        {
            assert_eq!(fill(text, value), Ok(filled));
        }
    }

    #[test]
    fn what_has_no_value_is_named() {
        for (text, bad) in
            [("a ${no} b", "${no}"), ("${", "${"), ("a ${dir", "${dir"), ("${Dir:quoted}", "${Dir:quoted}")]
        {
            assert_eq!(fill(text, value), Err(bad.to_string()));
        }
    }

    #[test]
    fn strings_deep_in_json_are_filled() {
        let json = json!({"${dir}": [{"a": "${dir}", "n": 1, "t": true, "z": null}]});
        let filled = json!({"${dir}": [{"a": "/d", "n": 1, "t": true, "z": null}]});
        assert_eq!(fill_json(&json, &value), Ok(filled));
        assert_eq!(fill_json(&json!(["${x}"]), &value), Err("${x}".into()));
        assert_eq!(flat(json!("a b")), "a b");
        assert_eq!(flat(json!({"a": [1]})), r#"{"a":[1]}"#);
    }
}
