//! The innermost part of the grammar: values, brackets, calls, methods and comprehensions.

use std::sync::Arc;

use super::RuleError;
use super::ast::{Each, Node};
use super::functions::call;
use super::lexer::{Literal, Token};
use super::parser::{DEPTH, Expr, Parse, Parser, is_operator_word};
use super::pattern::Pattern;
use super::types::{Type, output_named};
use crate::OutputId;

/// Bytes that all expressions of a rule may take when compiled; a usual one takes one or two thousand.
const PATTERNS_BYTES: usize = 256 * 1024;

impl Parser<'_, '_> {
    /// A value with what hangs on it: `[…]`, `.name(…)`.
    pub(super) fn postfix(&mut self) -> Parse {
        let mut expr = self.primary()?;
        let mut links = 0;
        loop {
            let at = self.position();
            let index = self.take_symbol("[");
            if !index && !self.take_symbol(".") {
                return Ok(expr);
            }
            links += 1;
            if self.depth + links > DEPTH {
                return Err(RuleError::new(at, format!("the rule nests more than {DEPTH} levels deep")));
            }
            expr = if index { self.index(expr, at)? } else { self.method(expr)? };
        }
    }

    fn index(&mut self, list: Expr, opened: usize) -> Parse {
        if !list.ty.is_list() {
            return Err(RuleError::new(opened, format!("only a list has elements; this is {}", list.describe())));
        }
        let position = self.choice()?;
        self.expect("]", opened)?;
        if !position.ty.may_be_number() || position.ty.is_null() {
            return Err(position.wrong("an element's position must be a number"));
        }
        let (at, ty) = (list.at, list.ty.item());
        Ok(Expr { at, ty, node: Node::Index(Box::new([list.node, position.node])) })
    }

    /// `.name(…)`, behind the dot.
    fn method(&mut self, receiver: Expr) -> Parse {
        let at = self.position();
        let Token::Word(name) = self.take() else {
            return Err(RuleError::new(at, "the name of a method is missing behind `.`"));
        };
        let opened = self.position();
        if !self.take_symbol("(") {
            return Err(RuleError::new(at, format!("there is no field `{name}`; outputs are plain values")));
        }
        if let Some(each) = Each::from_name(&name) {
            return self.each(each, &name, receiver, at, opened);
        }
        if name == "matches" {
            if !receiver.ty.may_be_text() {
                return Err(receiver.wrong("matches() is a method of texts"));
            }
            let pattern = self.pattern("the argument of matches()")?;
            self.expect(")", opened)?;
            return Ok(Expr::bool(receiver.at, Node::Matches(Box::new(receiver.node), pattern)));
        }
        let mut arguments = vec![receiver];
        arguments.append(&mut self.arguments(")", opened)?);
        call(&name, at, arguments, true)
    }

    fn each(&mut self, each: Each, name: &str, list: Expr, at: usize, opened: usize) -> Parse {
        if self.item.is_some() {
            return Err(RuleError::new(at, format!("{name}() cannot stand inside of another such method")));
        }
        if !list.ty.is_list() {
            return Err(list.wrong(&format!("{name}() is a method of lists")));
        }
        let variable_at = self.position();
        let variable = match self.take() {
            Token::Word(word) if !is_reserved(&word) => word,
            _ => {
                return Err(RuleError::new(variable_at, format!("{name}() needs a variable: [1, 2].{name}(x, x > 1)")));
            }
        };
        if OutputId::from_name(&variable).is_some() {
            let sentence = format!("`{variable}` is the name of an output; choose another name for the variable");
            return Err(RuleError::new(variable_at, sentence));
        }
        if !self.take_symbol(",") {
            return self.refuse(format!("`,` is missing here: [1, 2].{name}({variable}, …)"));
        }
        self.item = Some((variable, list.ty.item()));
        let body = self.choice()?;
        self.item = None;
        self.expect(")", opened)?;
        let ty = match each {
            Each::Map if body.ty.may_be_list() => return Err(body.wrong("a list cannot hold lists")),
            Each::Map => Type::list_of(body.ty),
            _ if !body.ty.is_bool() => return Err(body.wrong(&format!("what {name}() asks must be true or false"))),
            Each::Filter => list.ty,
            Each::All | Each::Exists | Each::ExistsOne => Type::BOOL,
        };
        Ok(Expr { at: list.at, ty, node: Node::Each(each, Box::new([list.node, body.node])) })
    }

    fn primary(&mut self) -> Parse {
        let at = self.position();
        match self.take() {
            Token::Number(value) => Ok(Expr { at, node: Node::Number(value), ty: Type::NUMBER }),
            Token::Text(Literal { value, .. }) => Ok(Expr { at, node: Node::Text(value.into()), ty: Type::TEXT }),
            Token::Word(word) => self.word(at, &word),
            Token::Symbol("(") => {
                let inner = self.choice()?;
                if let Token::Symbol(",") = self.peek() {
                    return self.refuse("a list in round brackets may stand behind `IN` only; write [a, b]");
                }
                self.expect(")", at)?;
                Ok(Expr { at, ..inner })
            }
            Token::Symbol("[") => {
                let (node, item) = self.items("]", at)?;
                if item.may_be_list() {
                    return Err(RuleError::new(at, "a list cannot hold lists"));
                }
                Ok(Expr { at, node, ty: Type::list_of(item) })
            }
            Token::Symbol(symbol) => Err(RuleError::new(at, format!("a value is missing before `{symbol}`"))),
            Token::End => Err(RuleError::new(at, "the rule ends where a value is missing")),
        }
    }

    fn word(&mut self, at: usize, word: &str) -> Parse {
        match word {
            "true" | "false" => return Ok(Expr::bool(at, Node::Bool(word == "true"))),
            "null" => {
                return Ok(Expr { at, node: Node::Null, ty: Type::NULL });
            }
            _ => {}
        }
        let opened = self.position();
        if self.take_symbol("(") {
            if word == "matches" {
                return self.global_matches(at, opened);
            }
            let arguments = self.arguments(")", opened)?;
            return call(word, at, arguments, false);
        }
        if is_operator_word(word) {
            return Err(RuleError::new(at, format!("a value is missing before `{word}`")));
        }
        if let Some((variable, ty)) = &self.item
            && *variable == word
        {
            return Ok(Expr { at, node: Node::Item, ty: *ty });
        }
        let id = output_named(word, self.probe).map_err(|sentence| RuleError::new(at, sentence))?;
        self.reads_body |= id == OutputId::BODY;
        Ok(Expr { at, node: Node::Output(id), ty: Type::of_output(id) })
    }

    fn global_matches(&mut self, at: usize, opened: usize) -> Parse {
        let text = self.choice()?;
        if !text.ty.may_be_text() {
            return Err(text.wrong("the first argument of matches() must be a text"));
        }
        if !self.take_symbol(",") {
            return self.refuse("matches() needs a text and a regular expression");
        }
        let pattern = self.pattern("the second argument of matches()")?;
        self.expect(")", opened)?;
        Ok(Expr::bool(at, Node::Matches(Box::new(text.node), pattern)))
    }

    /// Expressions up to the closing bracket; a comma may stand behind the last one.
    fn arguments(&mut self, close: &'static str, opened: usize) -> Result<Vec<Expr>, RuleError> {
        let mut arguments = Vec::new();
        loop {
            if self.take_symbol(close) {
                return Ok(arguments);
            }
            arguments.push(self.choice()?);
            if !self.take_symbol(",") {
                self.expect(close, opened)?;
                return Ok(arguments);
            }
        }
    }

    /// A list's elements and what kinds they are.
    pub(super) fn items(&mut self, close: &'static str, opened: usize) -> Result<(Node, Type), RuleError> {
        let items = self.arguments(close, opened)?;
        let ty = items.iter().fold(Type::NOTHING, |ty, item| ty | item.ty);
        if let Some(list) = items.iter().find(|item| item.ty.may_be_list())
            && items.len() > 1
        {
            return Err(RuleError::new(list.at, "a list cannot hold lists"));
        }
        Ok((Node::List(items.into_iter().map(|item| item.node).collect()), ty))
    }

    /// A text literal, compiled as a regular expression.
    pub(super) fn pattern(&mut self, place: &str) -> Result<Arc<Pattern>, RuleError> {
        let at = self.position();
        match self.take() {
            Token::Text(literal) => {
                if let Token::Symbol("+" | "." | "[") = self.peek() {
                    return self.refuse(format!("{place} must be a single text literal"));
                }
                let pattern = (self.patterns)(&literal.pattern).map_err(|sentence| RuleError::new(at, sentence))?;
                self.pattern_bytes += pattern.memory_usage();
                if self.pattern_bytes > PATTERNS_BYTES {
                    return Err(RuleError::new(at, "the rule's regular expressions are too large when compiled"));
                }
                Ok(pattern)
            }
            _ => Err(RuleError::new(
                at,
                format!("{place} must be a text literal, so that it can be compiled beforehand"),
            )),
        }
    }
}

fn is_reserved(word: &str) -> bool {
    is_operator_word(word) || matches!(word, "true" | "false" | "null")
}
