//! Tokens to a checked tree: grammar, names and kinds in one pass, so that every refusal has its position.
//!
//! CEL's grammar and precedence, with the reference's `=~`, `!~`, `IN (…)`, `AND`, `OR` and `NOT` added:
//!
//! ```text
//! choice     = or [ "?" choice ":" choice ]
//! or         = and { ("||" | OR) and }
//! and        = not { ("&&" | AND) not }
//! not        = NOT not | relation
//! relation   = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") sum | ("=~" | "!~") text | IN "(" items ")" ]
//! sum        = product { ("+" | "-") product }
//! product    = unary { ("*" | "/" | "%") unary }
//! unary      = { "!" | "-" } postfix
//! postfix    = primary { "[" choice "]" | "." name "(" items ")" }
//! primary    = number | text | true | false | null | name | name "(" items ")" | "(" choice ")" | "[" items "]"
//! ```

use std::sync::Arc;

use super::RuleError;
use super::ast::{Arithmetic, Function, Node, Order};
use super::functions::arithmetic_type;
use super::lexer::Token;
use super::pattern::Pattern;
use super::types::Type;
use crate::ProbeType;

/// How deep brackets, calls and choices may nest. A chain of one operator is one flat node, so nothing else makes a tree
/// deep: parsing, walking and dropping it fits several times into 2 MiB of stack, in an unoptimised build too (tested).
pub(super) const DEPTH: usize = 24;

/// Compiles a regular expression, or hands out one compiled before; the error is a sentence.
pub(super) type Patterns<'p> = dyn FnMut(&str) -> Result<Arc<Pattern>, String> + 'p;

/// A checked rule.
pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) reads_body: bool,
}

/// Parses and checks the tokens of a whole rule.
pub(super) fn parse(
    tokens: Vec<(usize, Token)>,
    probe: ProbeType,
    patterns: &mut Patterns<'_>,
) -> Result<Parsed, RuleError> {
    let mut parser =
        Parser { tokens, at: 0, probe, patterns, depth: 0, item: None, reads_body: false, pattern_bytes: 0 };
    if parser.peek() == &Token::End {
        return Err(RuleError::new(0, "the rule is empty"));
    }
    let rule = parser.choice()?;
    match parser.peek() {
        Token::End => {}
        Token::Text(_) | Token::Number(_) | Token::Word(_) => {
            return parser.refuse("an operator such as && or == is missing here");
        }
        Token::Symbol(s) => return parser.refuse(format!("`{s}` does not fit here")),
    }
    if !rule.ty.is_bool() {
        let kind = rule.describe();
        return Err(RuleError::new(rule.at, format!("a rule must be true or false; this is {kind}")));
    }
    Ok(Parsed { node: rule.node, reads_body: parser.reads_body })
}

/// A checked expression and where it begins.
pub(super) struct Expr {
    pub(super) at: usize,
    pub(super) node: Node,
    pub(super) ty: Type,
}

impl Expr {
    pub(super) fn bool(at: usize, node: Node) -> Self {
        Self { at, node, ty: Type::BOOL }
    }

    /// Its kind for the author, with an eye on kinds that only look like true or false.
    pub(super) fn describe(&self) -> String {
        let kind = self.ty.describe();
        if self.ty.may_be_null() && !self.ty.is_null() && kind == "true or false" {
            return "true, false or null".to_owned();
        }
        kind
    }

    pub(super) fn wrong(&self, wanted: &str) -> RuleError {
        RuleError::new(self.at, format!("{wanted}; this is {}", self.describe()))
    }
}

pub(super) struct Parser<'p, 'q> {
    pub(super) tokens: Vec<(usize, Token)>,
    pub(super) at: usize,
    pub(super) probe: ProbeType,
    pub(super) patterns: &'p mut Patterns<'q>,
    pub(super) depth: usize,
    /// The variable of the comprehension that is being read.
    pub(super) item: Option<(String, Type)>,
    pub(super) reads_body: bool,
    /// What the expressions compiled so far take.
    pub(super) pattern_bytes: usize,
}

/// What every rule of the grammar gives.
pub(super) type Parse = Result<Expr, RuleError>;

impl Parser<'_, '_> {
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    pub(super) fn position(&self) -> usize {
        self.tokens[self.at].0
    }

    pub(super) fn refuse<T>(&self, sentence: impl Into<String>) -> Result<T, RuleError> {
        Err(RuleError::new(self.position(), sentence))
    }

    /// Takes the token; the last one, [`Token::End`], stays.
    pub(super) fn take(&mut self) -> Token {
        if self.at + 1 == self.tokens.len() {
            return Token::End;
        }
        self.at += 1;
        std::mem::replace(&mut self.tokens[self.at - 1].1, Token::End)
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek(), Token::Symbol(s) if *s == symbol);
        if there {
            self.take();
        }
        there
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let there = matches!(self.peek(), Token::Word(w) if w.eq_ignore_ascii_case(word));
        if there {
            self.take();
        }
        there
    }

    pub(super) fn expect(&mut self, symbol: &str, opened: usize) -> Result<(), RuleError> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        if self.peek() == &Token::End {
            return Err(RuleError::new(opened, format!("this is never closed: `{symbol}` is missing")));
        }
        self.refuse(format!("`{symbol}` is missing here"))
    }

    pub(super) fn choice(&mut self) -> Parse {
        if self.depth == DEPTH {
            return self.refuse(format!("the rule nests more than {DEPTH} levels deep"));
        }
        self.depth += 1;
        let result = self.choice_inside();
        self.depth -= 1;
        result
    }

    fn choice_inside(&mut self) -> Parse {
        let condition = self.any()?;
        let question = self.position();
        if !self.take_symbol("?") {
            return Ok(condition);
        }
        if !condition.ty.is_bool() {
            return Err(condition.wrong("the left of `?` must be true or false"));
        }
        let then = self.choice()?;
        self.expect(":", question)?;
        let otherwise = self.choice()?;
        if then.ty.may_be_list() != otherwise.ty.may_be_list() {
            return Err(
                otherwise.wrong(&format!("both sides of `:` must be of one kind; the left is {}", then.describe()))
            );
        }
        let ty = then.ty | otherwise.ty;
        let at = condition.at;
        Ok(Expr { at, ty, node: Node::Choice(Box::new([condition.node, then.node, otherwise.node])) })
    }

    fn any(&mut self) -> Parse {
        let first = self.all()?;
        self.logical(first, "||", "or", Self::all, Node::Any)
    }

    fn all(&mut self) -> Parse {
        let first = self.not()?;
        self.logical(first, "&&", "and", Self::not, Node::All)
    }

    fn logical(
        &mut self,
        first: Expr,
        symbol: &str,
        word: &str,
        operand: fn(&mut Self) -> Parse,
        make: fn(Box<[Node]>) -> Node,
    ) -> Parse {
        let mut rest = Vec::new();
        while self.take_symbol(symbol) || self.take_word(word) {
            rest.push(operand(self)?);
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let at = first.at;
        let mut nodes = Vec::with_capacity(rest.len() + 1);
        for operand in std::iter::once(first).chain(rest) {
            if !operand.ty.is_bool() {
                return Err(operand.wrong(&format!("both sides of `{symbol}` must be true or false")));
            }
            nodes.push(operand.node);
        }
        Ok(Expr::bool(at, make(nodes.into())))
    }

    /// The word `NOT` covers the comparison behind it, unlike `!`.
    fn not(&mut self) -> Parse {
        let at = self.position();
        let mut negated = false;
        let mut seen = false;
        while self.take_word("not") {
            negated = !negated;
            seen = true;
        }
        let operand = self.relation()?;
        if !seen {
            return Ok(operand);
        }
        negation(at, negated, operand)
    }

    fn relation(&mut self) -> Parse {
        let left = self.sum()?;
        let result = match self.peek() {
            Token::Symbol(symbol @ ("==" | "!=")) => {
                let equal = *symbol == "==";
                self.take();
                self.equality(left, equal)?
            }
            Token::Symbol(symbol @ ("<" | "<=" | ">" | ">=")) => {
                let symbol = *symbol;
                self.take();
                self.ordering(left, symbol)?
            }
            Token::Symbol(symbol @ ("=~" | "!~")) => {
                let symbol = *symbol;
                self.take();
                let found = self.search(left, symbol)?;
                if symbol == "!~" { Expr::bool(found.at, Node::Not(Box::new(found.node))) } else { found }
            }
            Token::Word(word) if word.eq_ignore_ascii_case("in") => {
                self.take();
                self.membership(left)?
            }
            Token::Word(word) if word.eq_ignore_ascii_case("not") => {
                return self.refuse("`NOT` stands before a comparison: NOT x IN (a, b)");
            }
            _ => return Ok(left),
        };
        let chained = match self.peek() {
            Token::Symbol("==" | "!=" | "<" | "<=" | ">" | ">=" | "=~" | "!~") => true,
            Token::Word(word) => word.eq_ignore_ascii_case("in"),
            Token::Symbol(_) | Token::Number(_) | Token::Text(_) | Token::End => false,
        };
        if chained {
            return self.refuse("comparisons cannot be chained; join them with && or use brackets");
        }
        Ok(result)
    }

    fn equality(&mut self, left: Expr, equal: bool) -> Parse {
        let right = self.sum()?;
        for side in [&left, &right] {
            if side.ty.may_be_list() {
                return Err(RuleError::new(side.at, "lists cannot be compared; use `in`, or compare their elements"));
            }
        }
        let node = Node::Equal(Box::new([left.node, right.node]));
        Ok(Expr::bool(left.at, if equal { node } else { Node::Not(Box::new(node)) }))
    }

    fn ordering(&mut self, left: Expr, symbol: &str) -> Parse {
        let right = self.sum()?;
        if !left.ty.can_be_ordered_with(right.ty) {
            // The more telling of the two positions: the side that can never be ordered with anything.
            let never = |side: &Expr| !side.ty.can_be_ordered_with(side.ty);
            let at = if !never(&left) && never(&right) { right.at } else { left.at };
            let (left, right) = (left.describe(), right.describe());
            let sentence = format!("`{symbol}` compares two numbers or two texts; here {left} stands against {right}");
            return Err(RuleError::new(at, sentence));
        }
        let order = match symbol {
            "<" => Order::Less,
            "<=" => Order::LessOrEqual,
            ">" => Order::Greater,
            _ => Order::GreaterOrEqual,
        };
        Ok(Expr::bool(left.at, Node::Order(order, Box::new([left.node, right.node]))))
    }

    /// `left =~ 'pattern'`, behind the operator.
    fn search(&mut self, left: Expr, symbol: &str) -> Parse {
        if !left.ty.may_be_text() {
            return Err(left.wrong(&format!("the left of `{symbol}` must be a text")));
        }
        let pattern = self.pattern(&format!("the right of `{symbol}`"))?;
        Ok(Expr::bool(left.at, Node::Matches(Box::new(left.node), pattern)))
    }

    fn membership(&mut self, left: Expr) -> Parse {
        if left.ty.may_be_list() {
            return Err(left.wrong("the left of `in` must be a single value"));
        }
        let at = self.position();
        let right = if self.take_symbol("(") {
            let (node, ty) = self.items(")", at)?;
            if let Node::List(items) = &node
                && items.is_empty()
            {
                return Err(RuleError::new(at, "the list behind `IN` is empty"));
            }
            // `x in ([1, 2])`: brackets around a list, not a list of lists
            match node {
                Node::List(items) if items.len() == 1 && ty.is_list() => match Vec::from(items).pop() {
                    Some(node) => Expr { at, node, ty },
                    None => return self.refuse("the list behind `IN` is empty"),
                },
                node => Expr { at, node, ty: Type::list_of(ty) },
            }
        } else {
            self.sum()?
        };
        if !right.ty.is_list() {
            return Err(right.wrong("the right of `in` must be a list such as [200, 204] or (200, 204)"));
        }
        Ok(Expr::bool(left.at, Node::In(Box::new([left.node, right.node]))))
    }

    fn sum(&mut self) -> Parse {
        let first = self.product()?;
        let operator = |symbol: &str| match symbol {
            "+" => Some(Arithmetic::Add),
            "-" => Some(Arithmetic::Subtract),
            _ => None,
        };
        self.arithmetic(first, operator, Self::product)
    }

    fn product(&mut self) -> Parse {
        let first = self.unary()?;
        let operator = |symbol: &str| match symbol {
            "*" => Some(Arithmetic::Multiply),
            "/" => Some(Arithmetic::Divide),
            "%" => Some(Arithmetic::Remainder),
            _ => None,
        };
        self.arithmetic(first, operator, Self::unary)
    }

    fn arithmetic(
        &mut self,
        first: Expr,
        operator: impl Fn(&str) -> Option<Arithmetic>,
        operand: fn(&mut Self) -> Parse,
    ) -> Parse {
        let (at, mut ty, mut before) = (first.at, first.ty, first.at);
        let mut rest = Vec::new();
        while let Token::Symbol(symbol) = *self.peek()
            && let Some(operator) = operator(symbol)
        {
            self.take();
            let right = operand(self)?;
            ty = arithmetic_type(symbol, operator, (before, ty), (right.at, right.ty))?;
            before = at;
            rest.push((operator, right.node));
        }
        let node = if rest.is_empty() { first.node } else { Node::Arithmetic(Box::new(first.node), rest.into()) };
        Ok(Expr { at, node, ty })
    }

    fn unary(&mut self) -> Parse {
        let at = self.position();
        let mut signs = Vec::new();
        while let Token::Symbol(symbol @ ("!" | "-")) = *self.peek() {
            self.take();
            signs.push(symbol);
        }
        let Some(first) = signs.first() else {
            return self.postfix();
        };
        if signs.iter().any(|sign| sign != first) {
            return Err(RuleError::new(at, "`!` and `-` cannot be mixed: a number is not true or false"));
        }
        let odd = signs.len() % 2 == 1;
        let operand = self.postfix()?;
        if *first == "!" {
            return negation(at, odd, operand);
        }
        if !operand.ty.may_be_number() {
            return Err(operand.wrong("only a number can follow `-`"));
        }
        let ty = Type::NUMBER.or_null_if(operand.ty.may_be_null());
        let node = match operand.node {
            Node::Number(value) => Node::Number(if odd { -value } else { value }),
            node if odd => Node::Negate(Box::new(node)),
            // `--x` is x, but still has to be a number
            node => Node::Call(Function::Number, Box::new([node])),
        };
        Ok(Expr { at, node, ty })
    }
}

fn negation(at: usize, negated: bool, operand: Expr) -> Parse {
    if !operand.ty.is_bool() {
        return Err(operand.wrong("only true or false can be negated by `!`; put a comparison in brackets: !(a == b)"));
    }
    Ok(Expr::bool(at, if negated { Node::Not(Box::new(operand.node)) } else { operand.node }))
}

pub(super) fn is_operator_word(word: &str) -> bool {
    ["and", "or", "not", "in"].iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}
