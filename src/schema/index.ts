// Door of the schema room: fields, categories, record layout, program types. Imports no other room.
export { foldAscii, isAscii } from "./ascii.ts";
export { ATTEMPT_CALLER_FIELDS, ATTEMPT_FILE_FIELDS } from "./attempt-fields.ts";
export { CATEGORY_NONE, CATEGORY_OTHER, CATEGORY_SEVERAL, CategoryTable } from "./category.ts";
export {
  type Demand,
  type DemandTest,
  type EventWords,
  everyEvent,
  type GroupField,
  type GroupFields,
  isGroupField,
  isOfGroup,
  isWithin,
  mergedDemand,
  passesTests,
  type TestedEvent,
  type WordsDemand,
} from "./demand.ts";
export { FIELD_TYPES, type FieldReader, type FieldType, type FieldValue, type Scalar } from "./field-type.ts";
export { nearestName } from "./nearest-name.ts";
export {
  type Expression,
  type KeyPart,
  type LineageRelation,
  PLAN_SLOTS_MAX,
  PLAN_STEPS_MAX,
  type PlanLineage,
  type PlanStep,
  type ProcessIdentity,
  planSlots,
  type RulePlan,
} from "./plan.ts";
export {
  type ActDecision,
  type KernelCondition,
  OpenMode,
  POLICY_ACTS,
  POLICY_BLOCKS_MAX,
  POLICY_CLAUSES_MAX,
  POLICY_DIMENSIONS,
  POLICY_TEXT_BYTES_MAX,
  type PolicyAct,
  type PolicyBlock,
  type PolicyClause,
  type PolicyDimension,
  type PolicyTest,
  type RulePolicy,
  type UndecidedPart,
} from "./policy.ts";
export { type Backend, type Diagnostic, hitWords, type PredicateInfo, type RuleSetProgram, type Span } from "./program.ts";
export {
  ARRAY_ELEMENTS_MAX,
  ENTRY_BYTES,
  Entry,
  EntryFlag,
  EntryType,
  Header,
  RECORD_BYTES_MAX,
  RECORD_FIELDS_MAX,
  RECORD_HEADER_BYTES,
  RecordFlag,
  STRING_BYTES_MAX,
} from "./record-layout.ts";
export { EXTRA_FIELD_FIRST_ID, type ExtraField, type FieldConflict, type FieldDefinition, isConflict, SchemaRegistry } from "./registry.ts";
export { SEVERITIES, type Severity } from "./severity.ts";
