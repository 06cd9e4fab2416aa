//! From text to expression.

use super::{Compare, Expr, Field, FieldKind, FilterError, Wanted};

/// Nesting beyond this is nobody's query.
const DEEPEST: usize = 32;

/// A piece of the text, and the column where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    column: usize,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Open,
    Close,
    And,
    Or,
    Not,
    /// `field`, operator and value; without an operator, a bare word.
    Term {
        word: String,
        test: Option<(&'static str, String)>,
    },
}

/// Reads a query; `None` if there is nothing in it.
pub(super) fn parse(text: &str) -> Result<Option<Expr>, FilterError> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end, depth: 0 };
    let expr = parser.any()?;
    match parser.tokens.next() {
        None => Ok(Some(expr)),
        Some(token) => Err(fail(token.column, "this ) closes nothing")),
    }
}

fn fail(column: usize, what: impl Into<String>) -> FilterError {
    FilterError { column, what: what.into() }
}

/// Operators, the longer ones first.
const OPERATORS: [&str; 7] = ["!=", "<=", ">=", "=", "<", ">", "~"];

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let column = at + 1;
        let single = match c {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' => Some(What::Open),
            ')' => Some(What::Close),
            '!' => Some(What::Not),
            _ => None,
        };
        if let Some(what) = single {
            tokens.push(Token { column, what });
            at += 1;
            continue;
        }
        let word = word(&chars, &mut at, true)?;
        let operator = OPERATORS.into_iter().find(|operator| {
            operator.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c))
        });
        let test = match operator {
            None => None,
            Some(operator) => {
                at += operator.len();
                let value_at = at + 1;
                let value = self::word(&chars, &mut at, false)?;
                if value.is_empty() {
                    return Err(fail(value_at, format!("a value is missing after {operator}")));
                }
                Some((operator, value))
            }
        };
        let what = match (word.as_str(), &test) {
            ("and", None) => What::And,
            ("or", None) => What::Or,
            ("not", None) => What::Not,
            _ => What::Term { word, test },
        };
        tokens.push(Token { column, what });
    }
    Ok(tokens)
}

/// The characters up to what can't be in a word; in quotes anything can.
fn word(chars: &[char], at: &mut usize, field: bool) -> Result<String, FilterError> {
    let mut word = String::new();
    while let Some(&c) = chars.get(*at) {
        match c {
            '"' => {
                let column = *at + 1;
                *at += 1;
                loop {
                    match chars.get(*at) {
                        None => return Err(fail(column, "this \" is not closed")),
                        Some('"') => break,
                        Some(&c) => word.push(c),
                    }
                    *at += 1;
                }
            }
            c if c.is_whitespace() || matches!(c, '(' | ')') => break,
            '=' | '<' | '>' | '~' if field => break,
            '!' if field && chars.get(*at + 1) == Some(&'=') => break,
            c => word.push(c),
        }
        *at += 1;
    }
    Ok(word)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    end: usize,
    depth: usize,
}

impl Parser {
    fn next_is(&mut self, what: &What) -> bool {
        self.tokens.next_if(|token| token.what == *what).is_some()
    }

    fn any(&mut self) -> Result<Expr, FilterError> {
        let mut any = vec![self.all()?];
        while self.next_is(&What::Or) {
            any.push(self.all()?);
        }
        Ok(one_or(any, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, FilterError> {
        let mut all = vec![self.one()?];
        loop {
            let and = self.next_is(&What::And);
            match self.tokens.peek().map(|token| &token.what) {
                None | Some(What::Or | What::Close) if !and => return Ok(one_or(all, Expr::All)),
                _ => all.push(self.one()?),
            }
        }
    }

    fn one(&mut self) -> Result<Expr, FilterError> {
        let Some(Token { column, what }) = self.tokens.next() else {
            return Err(fail(self.end, "something is missing here"));
        };
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(fail(column, "this is nested too deeply"));
        }
        let expr = match what {
            What::Not => Expr::Not(Box::new(self.one()?)),
            What::Open => {
                let expr = self.any()?;
                if !self.next_is(&What::Close) {
                    return Err(fail(column, "this ( is not closed"));
                }
                expr
            }
            What::Term { word, test: None } => Expr::Test {
                field: Field::Comm,
                compare: Compare::Is,
                wanted: vec![Wanted::Pattern(format!("*{}*", word.to_lowercase()))],
            },
            What::Term { word, test: Some((operator, value)) } => {
                test(column, &word, operator, &value)?
            }
            What::And | What::Or | What::Close => {
                return Err(fail(column, "something is missing before this"));
            }
        };
        self.depth -= 1;
        Ok(expr)
    }
}

fn one_or(mut all: Vec<Expr>, more: fn(Vec<Expr>) -> Expr) -> Expr {
    match (all.len(), all.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            all.extend(last);
            more(all)
        }
    }
}

fn test(column: usize, name: &str, operator: &str, value: &str) -> Result<Expr, FilterError> {
    let Some(field) = Field::named(&name.to_lowercase()) else {
        let names: Vec<&str> = Field::ALL.iter().map(|&(_, name, _)| name).collect();
        let names = names.join(", ");
        return Err(fail(column, format!("there is no field {name}; there are {names}")));
    };
    let kind = field.kind();
    let (compare, not) = match operator {
        "!=" => (Compare::Is, true),
        "<" => (Compare::Less, false),
        "<=" => (Compare::AtMost, false),
        ">" => (Compare::More, false),
        ">=" => (Compare::AtLeast, false),
        _ => (Compare::Is, false),
    };
    let ordered = compare != Compare::Is;
    if ordered && matches!(kind, FieldKind::Text | FieldKind::Flag) {
        return Err(fail(column, format!("{name} is no number: use = or !=")));
    }
    if operator == "~" && kind != FieldKind::Text {
        return Err(fail(column, format!("{name} is no text: use =")));
    }
    let wanted = value
        .split(',')
        .map(|item| wanted(kind, item, operator == "~").map_err(|what| fail(column, what)))
        .collect::<Result<Vec<_>, _>>()?;
    if ordered && wanted.len() > 1 {
        return Err(fail(column, format!("{operator} takes one value")));
    }
    let expr = Expr::Test { field, compare, wanted };
    Ok(if not { Expr::Not(Box::new(expr)) } else { expr })
}

fn wanted(kind: FieldKind, item: &str, contains: bool) -> Result<Wanted, String> {
    let lower = item.to_lowercase();
    if lower == "?" {
        return Ok(Wanted::Unknown);
    }
    match (kind, lower.as_str()) {
        (_, "") => Err("a value is missing".to_owned()),
        (FieldKind::Mm, "none" | "-") => Ok(Wanted::Range(0, 0)),
        (FieldKind::Mm, "init" | "init_mm") => Ok(Wanted::Range(1, 1)),
        (FieldKind::Number | FieldKind::Mm, text) => {
            let number = |text: &str| text.parse::<u64>().ok();
            let range = match text.split_once('-') {
                None => number(text).map(|number| (number, number)),
                Some((from, to)) => number(from).zip(number(to)),
            };
            match range {
                Some((from, to)) if from <= to => Ok(Wanted::Range(from, to)),
                _ => Err(format!("{item} is no number, and no range like 0-3")),
            }
        }
        (FieldKind::Time, text) => match time(text) {
            Some(ns) => Ok(Wanted::Range(ns, ns)),
            None => Err(format!("{item} is no time: write it as 500ns, 100us, 3ms or 2s")),
        },
        (FieldKind::Text, text) if contains => Ok(Wanted::Pattern(format!("*{text}*"))),
        (FieldKind::Text, text) => Ok(Wanted::Pattern(text.to_owned())),
        (FieldKind::Flag, "yes" | "true" | "1") => Ok(Wanted::Flag(true)),
        (FieldKind::Flag, "no" | "false" | "0") => Ok(Wanted::Flag(false)),
        (FieldKind::Flag, _) => Err(format!("{item} is neither yes nor no")),
    }
}

/// A time in nanoseconds.
fn time(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "" | "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Some((number * scale).round() as u64)
}
