//! What functions and operators take and give, checked when the rule is saved.

use super::RuleError;
use super::ast::{Arithmetic, Function, Node};
use super::parser::{Expr, Parse, is_operator_word};
use super::types::Type;

/// Checks a call; the receiver of a method is its first argument.
pub(super) fn call(name: &str, at: usize, arguments: Vec<Expr>, method: bool) -> Parse {
    let (function, wanted) = match (name, method) {
        ("size", _) => (Function::Size, 1),
        ("int", false) => (Function::Whole, 1),
        ("double", false) => (Function::Number, 1),
        ("string", false) => (Function::Text, 1),
        ("contains", true) => (Function::Contains, 2),
        ("startsWith", true) => (Function::StartsWith, 2),
        ("endsWith", true) => (Function::EndsWith, 2),
        _ => return Err(RuleError::new(at, unknown_function(name, method))),
    };
    if arguments.len() != wanted {
        let (wanted, given) = (wanted - usize::from(method), arguments.len() - usize::from(method));
        let plural = if wanted == 1 { "" } else { "s" };
        return Err(RuleError::new(at, format!("{name}() takes {wanted} argument{plural}; here are {given}")));
    }
    let null = arguments.iter().any(|argument| argument.ty.may_be_null());
    let ty = match function {
        Function::Size => {
            if !(arguments[0].ty.may_be_text() || arguments[0].ty.may_be_list()) {
                return Err(arguments[0].wrong("size() is of a text or a list"));
            }
            Type::NUMBER.or_null_if(null)
        }
        Function::Whole | Function::Number => {
            if !(arguments[0].ty.may_be_text() || arguments[0].ty.may_be_number()) {
                return Err(arguments[0].wrong(&format!("{name}() is of a number or a text")));
            }
            Type::NUMBER.or_null_if(null)
        }
        Function::Text => {
            if arguments[0].ty.may_be_list() {
                return Err(arguments[0].wrong("string() is of a single value"));
            }
            if arguments[0].ty.may_be_long() {
                return Err(RuleError::new(arguments[0].at, "`body` is a text already"));
            }
            Type::TEXT.or_null_if(null)
        }
        Function::Contains | Function::StartsWith | Function::EndsWith => {
            if let Some(other) = arguments.iter().find(|argument| !argument.ty.may_be_text()) {
                let place = if other.at == arguments[0].at { "is a method of texts" } else { "looks for a text" };
                return Err(other.wrong(&format!("{name}() {place}")));
            }
            Type::BOOL
        }
    };
    let at = arguments[0].at.min(at);
    Ok(Expr { at, ty, node: Node::Call(function, arguments.into_iter().map(|argument| argument.node).collect()) })
}

/// The kind of `left operator right`, given where each stands.
pub(super) fn arithmetic_type(
    symbol: &str,
    operator: Arithmetic,
    (left_at, left): (usize, Type),
    (right_at, right): (usize, Type),
) -> Result<Type, RuleError> {
    let null = left.may_be_null() || right.may_be_null();
    let sides = [(left_at, left), (right_at, right)];
    if operator != Arithmetic::Add {
        if let Some((at, side)) = sides.into_iter().find(|(_, side)| !side.may_be_number()) {
            return Err(RuleError::new(
                at,
                format!("both sides of `{symbol}` must be numbers; this is {}", side.describe()),
            ));
        }
        return Ok(Type::NUMBER.or_null_if(null));
    }
    if let Some((at, _)) = sides.into_iter().find(|(_, side)| side.may_be_long()) {
        return Err(RuleError::new(at, "`body` cannot be joined with other texts; it may be as long as 1 MiB"));
    }
    let numbers = left.may_be_number() && right.may_be_number();
    let texts = left.may_be_text() && right.may_be_text();
    let ty = match (numbers, texts) {
        (true, true) => Type::NUMBER | Type::TEXT,
        (true, false) => Type::NUMBER,
        (false, true) => Type::TEXT,
        (false, false) => {
            let (left, right) = (left.describe(), right.describe());
            let sentence = format!("`+` adds two numbers or joins two texts; here {left} stands beside {right}");
            return Err(RuleError::new(left_at, sentence));
        }
    };
    Ok(ty.or_null_if(null))
}

fn unknown_function(name: &str, method: bool) -> String {
    match name {
        "contains" | "startsWith" | "endsWith" => format!("{name}() is a method: body.{name}('text')"),
        "has" => "has() is not needed: every output of the type has a value or is null; write `x != null`".to_owned(),
        "timestamp" | "duration" => format!("{name}() is not supported; times are numbers of milliseconds"),
        _ if is_operator_word(name) => format!("a value is missing before `{name}`"),
        _ if method => format!(
            "there is no method {name}(); there are contains, startsWith, endsWith, matches and size of texts, \
             and all, exists, exists_one, filter, map and size of lists"
        ),
        _ => format!("there is no function {name}(); there are size, int, double, string and matches"),
    }
}
