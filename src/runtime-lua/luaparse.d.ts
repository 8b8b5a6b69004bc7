// The part of luaparse 0.3 that the room uses: the parser, the token reader, and the node types it makes.
declare module "luaparse" {
  interface Located {
    readonly range: readonly [number, number];
    readonly loc: { readonly start: { readonly line: number }; readonly end: { readonly line: number } };
  }
  interface Identifier extends Located {
    readonly type: "Identifier";
    readonly name: string;
  }
  interface StringLiteral extends Located {
    readonly type: "StringLiteral";
    readonly value: string;
  }
  interface NumericLiteral extends Located {
    readonly type: "NumericLiteral";
    readonly value: number;
    readonly raw: string;
  }
  interface BooleanLiteral extends Located {
    readonly type: "BooleanLiteral";
    readonly value: boolean;
  }
  interface Constant extends Located {
    readonly type: "NilLiteral" | "VarargLiteral";
  }
  interface FunctionDeclaration extends Located {
    readonly type: "FunctionDeclaration";
    readonly identifier: Identifier | MemberExpression | null;
    readonly isLocal: boolean;
    readonly parameters: readonly (Identifier | Constant)[];
    readonly body: readonly Statement[];
  }
  interface BinaryExpression extends Located {
    readonly type: "BinaryExpression" | "LogicalExpression";
    readonly operator: string;
    readonly left: Expression;
    readonly right: Expression;
  }
  interface UnaryExpression extends Located {
    readonly type: "UnaryExpression";
    readonly operator: string;
    readonly argument: Expression;
  }
  interface MemberExpression extends Located {
    readonly type: "MemberExpression";
    readonly indexer: "." | ":";
    readonly identifier: Identifier;
    readonly base: Expression;
  }
  interface IndexExpression extends Located {
    readonly type: "IndexExpression";
    readonly base: Expression;
    readonly index: Expression;
  }
  interface CallExpression extends Located {
    readonly type: "CallExpression";
    readonly base: Expression;
    readonly arguments: readonly Expression[];
  }
  interface TableCallExpression extends Located {
    readonly type: "TableCallExpression";
    readonly base: Expression;
    readonly arguments: Expression;
  }
  interface StringCallExpression extends Located {
    readonly type: "StringCallExpression";
    readonly base: Expression;
    readonly argument: Expression;
  }
  type TableField = Located &
    (
      | { readonly type: "TableKey"; readonly key: Expression; readonly value: Expression }
      | { readonly type: "TableKeyString"; readonly key: Identifier; readonly value: Expression }
      | { readonly type: "TableValue"; readonly value: Expression }
    );
  interface TableConstructorExpression extends Located {
    readonly type: "TableConstructorExpression";
    readonly fields: readonly TableField[];
  }
  type Expression =
    | Identifier
    | StringLiteral
    | NumericLiteral
    | BooleanLiteral
    | Constant
    | FunctionDeclaration
    | BinaryExpression
    | UnaryExpression
    | MemberExpression
    | IndexExpression
    | CallExpression
    | TableCallExpression
    | StringCallExpression
    | TableConstructorExpression;

  type IfClause = Located &
    (
      | { readonly type: "IfClause" | "ElseifClause"; readonly condition: Expression; readonly body: readonly Statement[] }
      | { readonly type: "ElseClause"; readonly body: readonly Statement[] }
    );
  type Target = Identifier | MemberExpression | IndexExpression;
  interface AssignmentStatement extends Located {
    readonly type: "AssignmentStatement";
    readonly variables: readonly Target[];
    readonly init: readonly Expression[];
  }
  interface LocalStatement extends Located {
    readonly type: "LocalStatement";
    readonly variables: readonly Identifier[];
    readonly init: readonly Expression[];
  }
  interface ForNumericStatement extends Located {
    readonly type: "ForNumericStatement";
    readonly variable: Identifier;
    readonly start: Expression;
    readonly end: Expression;
    readonly step: Expression | null;
    readonly body: readonly Statement[];
  }
  interface ForGenericStatement extends Located {
    readonly type: "ForGenericStatement";
    readonly variables: readonly Identifier[];
    readonly iterators: readonly Expression[];
    readonly body: readonly Statement[];
  }
  interface LoopStatement extends Located {
    readonly type: "WhileStatement" | "RepeatStatement";
    readonly condition: Expression;
    readonly body: readonly Statement[];
  }
  interface GotoStatement extends Located {
    readonly type: "GotoStatement" | "LabelStatement";
    readonly label: Identifier;
  }
  type Statement =
    | AssignmentStatement
    | LocalStatement
    | ForNumericStatement
    | ForGenericStatement
    | LoopStatement
    | GotoStatement
    | FunctionDeclaration
    | (Located & { readonly type: "BreakStatement" })
    | (Located & { readonly type: "ReturnStatement"; readonly arguments: readonly Expression[] })
    | (Located & { readonly type: "IfStatement"; readonly clauses: readonly IfClause[] })
    | (Located & { readonly type: "DoStatement"; readonly body: readonly Statement[] })
    | (Located & { readonly type: "CallStatement"; readonly expression: Expression });

  interface Chunk {
    readonly type: "Chunk";
    readonly body: readonly Statement[];
  }
  interface Token {
    readonly type: number;
    readonly value: string | number | boolean | null;
    readonly range: readonly [number, number];
  }
  interface Options {
    readonly wait?: boolean;
    readonly comments?: boolean;
    readonly locations?: boolean;
    readonly ranges?: boolean;
    readonly luaVersion?: "LuaJIT";
    readonly encodingMode?: "pseudo-latin1";
  }
  export const tokenTypes: Readonly<Record<string, number>>;
  export function parse(input: string, options: Options & { readonly wait: true }): unknown;
  export function parse(input: string, options: Options): Chunk;
  export function lex(): Token;
}
