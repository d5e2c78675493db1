"""Every word that Python of a language model may use: syntax, functions, imports, and names after a dot.

* What is not listed is refused, so that what a new version of Python or polars adds is refused as well.
* Nothing here reads, writes, imports, looks inside of objects, takes a function, makes a value longer in place, or
  makes large values of small numbers.
* A name after a dot is judged without its object, so each one is harmless on every object that can be reached.
"""

from collections.abc import Mapping
from types import MappingProxyType


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


SYNTAX = _words(
    "Module Expr FunctionDef arguments arg Return Assign AnnAssign If For Pass Break Continue Import ImportFrom alias",
    "BoolOp BinOp UnaryOp IfExp Compare Call keyword Attribute Subscript Slice Starred Name Constant",
    "Dict List Tuple ListComp DictComp GeneratorExp comprehension JoinedStr FormattedValue Load Store",
    "And Or Not Add Sub Mult Div FloorDiv Mod Pow BitAnd BitOr BitXor Invert UAdd USub",
    "Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn",
)

FUNCTIONS = _words(
    "abs all any bool dict enumerate float int len list max min range reversed round sorted str sum tuple zip"
)

MATH = _words(
    "acos asin atan atan2 cbrt ceil copysign cos cosh degrees e exp fabs floor fmod hypot inf isclose isfinite isinf",
    "isnan log log10 log1p log2 nan pi radians sin sinh sqrt tan tanh tau trunc",
)

OURS = _words("Market SignalDraft memo resample strategy")
DECORATORS = _words("memo strategy")

_POLARS = _words(
    "Boolean DataFrame Date Datetime Duration Expr Float32 Float64 Int16 Int32 Int64 Int8 LazyFrame Series String",
    "UInt32 all all_horizontal any_horizontal arctan2 coalesce col concat_str duration exclude first from_epoch",
    "int_range last len lit max max_horizontal mean mean_horizontal median min min_horizontal quantile rolling_corr",
    "rolling_cov std sum sum_horizontal var when",
)

MODULES: Mapping[str, frozenset[str]] = MappingProxyType({"polars": _POLARS, "math": MATH, "backtestkit_cli": OURS})
"""Modules that may be imported, each with what may be taken from it."""

_EXPRESSION = _words(
    "abs add alias all and_ any arccos arcsin arctan arg_max arg_min backward_fill cast cbrt ceil clip cos cosh count",
    "cum_count cum_max cum_min cum_prod cum_sum degrees diff dot drop_nans drop_nulls eq eq_missing ewm_mean",
    "ewm_mean_by ewm_std ewm_var exp fill_nan fill_null filter first floor floordiv forward_fill ge gt",
    "gather_every has_nulls is_between is_close is_duplicated is_finite is_first_distinct is_in is_infinite",
    "is_last_distinct is_nan is_not_nan is_not_null is_null is_unique kurtosis last le len log log10 log1p lt max",
    "max_by mean median min min_by mod mul n_unique nan_max nan_min ne ne_missing neg not_ null_count or_ over",
    "otherwise pct_change peak_max peak_min pow product quantile radians rank replace replace_strict reverse rle_id",
    "rolling rolling_kurtosis rolling_max rolling_max_by rolling_mean rolling_mean_by rolling_median",
    "rolling_median_by rolling_min rolling_min_by rolling_quantile rolling_quantile_by rolling_rank rolling_skew",
    "rolling_std rolling_std_by rolling_sum rolling_sum_by rolling_var rolling_var_by round shift sign sin sinh skew",
    "sort sort_by sqrt std sub sum tan tanh then truediv unique var when xor",
)
_FRAME = _words(
    "agg collect columns drop group_by group_by_dynamic head height item join join_asof lazy limit rename select shape",
    "slice tail to_list width with_columns with_row_index",
)
_DATES = _words(
    "dt convert_time_zone date day epoch hour millisecond minute month offset_by ordinal_day quarter replace_time_zone",
    "second time timestamp total_days total_hours total_milliseconds total_minutes total_seconds truncate week weekday",
    "year",
)
_MARKET = _words("symbol now mode price candles format_price format_quantity open high low close volume vwap")
_PLAIN = _words("argmax argmin cumsum index is_integer items keys tolist values")

ATTRIBUTES = _EXPRESSION | _FRAME | _DATES | _MARKET | _PLAIN
"""What may stand after a dot, except after the name of a module."""
