//! The agents' programs: where each is, and with which files and variables it starts straight to its prompt, offline,
//! and speaks to our model. Knows nothing of compere but the names of its presets.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    /// What it is called: as a command, as a preset, and at the model.
    pub(crate) name: &'static str,
    /// Its package.
    package: &'static str,
    /// Whether it asks its user before it runs a command.
    pub(crate) asks: bool,
    /// The keys that let it run what it asks for, once.
    pub(crate) yes: &'static [&'static str],
    /// What it writes when it asks.
    pub(crate) dialog: &'static str,
    /// How it runs as a host without a terminal, and may use compere's tools unasked: what stands before the prompt.
    /// Nothing for one that has no MCP.
    pub(crate) host: &'static [&'static str],
    /// What it makes of its user's text by itself, which a sender cannot help, before its model gets it.
    pub(crate) makes_of: fn(&str) -> String,
    /// What it puts around that text, taken away again.
    pub(crate) bare: fn(&str) -> String,
    /// Its files below the home directory, and its variables.
    settings: fn(&Setting) -> Settings,
}

/// What a program's files are written for.
pub(crate) struct Setting<'a> {
    /// Where its model is.
    pub(crate) url: &'a str,
    /// The home directory.
    pub(crate) home: &'a Path,
    /// Where it works.
    pub(crate) work: &'a Path,
}

type Files = Vec<(&'static str, String)>;
type Variables = Vec<(&'static str, String)>;
type Settings = (Files, Variables);

/// All six.
pub(crate) const PROGRAMS: [Program; 6] = [
    Program {
        yes: &["1", "Enter"],
        dialog: "Do you want to proceed",
        makes_of: |text| without_tabs(text).replace("e\u{301}", "é"),
        bare: unframed,
        host: &["claude", "--allowedTools", "mcp__compere__*", "-p"],
        ..program("claude", "@anthropic-ai/claude-code", claude)
    },
    Program {
        dialog: "to confirm or esc to cancel",
        // Without a terminal it asks nobody, and so allows nothing that may change something.
        host: &[
            "codex",
            "exec",
            "--skip-git-repo-check",
            "-c",
            "mcp_servers.compere.default_tools_approval_mode=\"approve\"",
        ],
        ..program("codex", "@openai/codex", codex)
    },
    Program {
        dialog: "Allow execution",
        host: &["gemini", "--yolo", "-p"],
        ..program("gemini", "@google/gemini-cli", gemini)
    },
    Program {
        dialog: "Permission required",
        host: &["opencode", "run"],
        ..program("opencode", "opencode-ai", opencode)
    },
    Program {
        dialog: "Waiting for user confirmation",
        host: &["qwen", "--yolo", "-p"],
        ..program("qwen", "@qwen-code/qwen-code", qwen)
    },
    Program { asks: false, makes_of: without_tabs, ..program("pi", "@mariozechner/pi-coding-agent", pi) },
];

const fn program(name: &'static str, package: &'static str, settings: fn(&Setting) -> Settings) -> Program {
    Program {
        name,
        package,
        asks: true,
        yes: &["Enter"],
        dialog: "",
        host: &[],
        makes_of: str::to_owned,
        bare: str::to_owned,
        settings,
    }
}

/// claude and pi make four spaces of a tab; claude also composes what is written in two characters (NFC).
fn without_tabs(text: &str) -> String {
    text.replace('\t', "    ")
}

/// claude tells its model what was pasted: `<pasted_content id="…">`, a line each around it.
fn unframed(text: &str) -> String {
    let inner = text.trim().strip_prefix("<pasted_content id=\"").and_then(|rest| {
        let (id, rest) = rest.split_once("\">\n")?;
        rest.strip_suffix(&format!("\n</pasted_content id=\"{id}\">"))
    });
    inner.unwrap_or(text).to_owned()
}

/// Where `tests/agents/install` puts them.
pub(crate) fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/agents")
}

/// What finds them, and the rest of the machine's programs.
pub(crate) fn path() -> String {
    format!("{}:/usr/local/bin:/usr/bin:/bin", place().join("node_modules/.bin").display())
}

impl Program {
    /// That of this name.
    pub(crate) fn named(name: &str) -> Option<Program> {
        PROGRAMS.into_iter().find(|program| program.name == name)
    }

    /// The installed version, if it is installed.
    pub(crate) fn version(self) -> Option<String> {
        let file = place().join("node_modules").join(self.package).join("package.json");
        let package: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        package["version"].as_str().map(str::to_owned)
    }

    /// Writes its files; answers its variables.
    pub(crate) fn settle(self, setting: &Setting) -> std::io::Result<Variables> {
        let (files, variables) = (self.settings)(setting);
        for (name, text) in files {
            let path = setting.home.join(name);
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir)?;
            }
            std::fs::write(path, text)?;
        }
        Ok(variables)
    }
}

/// A key that claude takes for one it was told to use.
const KEY: &str = "sk-ant-test-00000000000000000000000000000000000000000001";

fn claude(to: &Setting) -> Settings {
    let work = to.work.display().to_string();
    let state = json!({
        "hasCompletedOnboarding": true,
        "theme": "dark",
        // It offers its automatic mode at its first start.
        "hasSeenAutoDefaultNudge": true,
        "customApiKeyResponses": {"approved": [&KEY[KEY.len() - 20..]], "rejected": []},
        "projects": {work: {"hasTrustDialogAccepted": true}},
    });
    let variables = vec![
        ("ANTHROPIC_API_KEY", KEY.to_owned()),
        ("ANTHROPIC_BASE_URL", to.url.to_owned()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        ("DISABLE_AUTOUPDATER", "1".to_owned()),
        ("DISABLE_TELEMETRY", "1".to_owned()),
        ("DISABLE_ERROR_REPORTING", "1".to_owned()),
    ];
    // Its automatic mode would ask its model instead of its user.
    let settings = json!({"permissions": {"defaultMode": "default"}});
    let files = vec![(".claude.json", state.to_string()), (".claude/settings.json", settings.to_string())];
    (files, variables)
}

fn codex(to: &Setting) -> Settings {
    let text = format!(
        r#"model = "fake-model"
model_provider = "fake"
check_for_update_on_startup = false
approval_policy = "on-request"
sandbox_mode = "workspace-write"
[model_providers.fake]
name = "fake"
base_url = "{}/v1"
env_key = "FAKE_KEY"
wire_api = "responses"
[projects."{}"]
trust_level = "trusted"
[analytics]
enabled = false
"#,
        to.url,
        to.work.display()
    );
    (vec![(".codex/config.toml", text)], vec![("FAKE_KEY", "fake".to_owned())])
}

fn gemini(to: &Setting) -> Settings {
    let settings = json!({
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
        "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
        "privacy": {"usageStatisticsEnabled": false},
        "telemetry": {"enabled": false},
        "ui": {"hideTips": true},
    });
    let variables =
        vec![("GEMINI_API_KEY", "fake".to_owned()), ("GOOGLE_GEMINI_BASE_URL", to.url.to_owned())];
    (vec![(".gemini/settings.json", settings.to_string())], variables)
}

fn opencode(to: &Setting) -> Settings {
    let model = json!({
        "name": "Fake Model", "limit": {"context": 1_000_000, "output": 8000}, "tool_call": true,
    });
    let config = json!({
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": false,
        "share": "disabled",
        "model": "fake/fake-model",
        "small_model": "fake/fake-model",
        // As shipped it runs every command unasked.
        "permission": {"bash": "ask"},
        "provider": {"fake": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Fake",
            "options": {"baseURL": format!("{}/v1", to.url), "apiKey": "fake"},
            "models": {"fake-model": model},
        }},
    });
    let variables = vec![
        ("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned()),
        ("OPENCODE_DISABLE_MODELS_FETCH", "1".to_owned()),
        ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1".to_owned()),
        // It asks a registry for its plugins' package, and waits for that at its start.
        ("npm_config_registry", "http://127.0.0.1:9".to_owned()),
        ("npm_config_fetch_retries", "0".to_owned()),
    ];
    (vec![(".config/opencode/opencode.json", config.to_string())], variables)
}

fn qwen(to: &Setting) -> Settings {
    let settings = json!({
        "security": {"auth": {"selectedType": "openai"}, "folderTrust": {"enabled": false}},
        "model": {"name": "fake-model"},
        "general": {"enableAutoUpdate": false},
        "privacy": {"usageStatisticsEnabled": false},
        "telemetry": {"enabled": false},
    });
    let variables = vec![
        ("OPENAI_API_KEY", "fake".to_owned()),
        ("OPENAI_BASE_URL", format!("{}/v1", to.url)),
        ("OPENAI_MODEL", "fake-model".to_owned()),
    ];
    (vec![(".qwen/settings.json", settings.to_string())], variables)
}

fn pi(to: &Setting) -> Settings {
    let model = json!({
        "id": "fake-model", "name": "Fake", "reasoning": false, "input": ["text"], "contextWindow": 1_000_000,
        "maxTokens": 8000, "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
    });
    let models = json!({"providers": {"fake": {
        "baseUrl": format!("{}/v1", to.url), "api": "openai-completions", "apiKey": "FAKE_KEY", "models": [model],
    }}});
    let settings = json!({"defaultProvider": "fake", "defaultModel": "fake-model"});
    let variables = vec![
        ("FAKE_KEY", "fake".to_owned()),
        ("PI_OFFLINE", "1".to_owned()),
        ("PI_SKIP_VERSION_CHECK", "1".to_owned()),
        ("PI_TELEMETRY", "0".to_owned()),
    ];
    let files = vec![
        (".pi/agent/models.json", models.to_string()),
        (".pi/agent/settings.json", settings.to_string()),
    ];
    (files, variables)
}
