// The words of Trino's SQL, for colours and completion. The functions are those of the service's own table.
declare const __FUNCTIONS__: string;

export const FUNCTIONS = __FUNCTIONS__;

export const KEYWORDS =
  "all and any as asc at between by case cast cross cube current_date current_time current_timestamp " +
  "desc describe distinct else end escape except exists explain extract false fetch filter first following for from " +
  "full functions group grouping having if in inner intersect interval into is join last lateral left like limit " +
  "localtime localtimestamp natural next not null nullif nulls offset on only or order ordinality outer over " +
  "partition preceding range recursive right rollup row rows select sets show some table tables columns then ties to " +
  "true try_cast unbounded union unnest using values when where window with within zone";

export const TYPES =
  "bigint boolean char date decimal double integer json map real smallint time timestamp tinyint uuid varbinary varchar array row";
