import pyarrow as pa, tempfile, sys
sys.path.insert(0,"/tmp/h/health/tests")
import sample_lake
from speechlake.schemas import TABLES
P={"string":pa.string(),"bigint":pa.int64(),"int":pa.int32(),"double":pa.float64(),"float":pa.float32(),"boolean":pa.bool_(),"binary":pa.binary(),"timestamp":pa.timestamp("us",tz="UTC")}
def split(s):
    out,d,cur=[],0,""
    for c in s:
        if c=="<":d+=1
        if c==">":d-=1
        if c=="," and d==0: out.append(cur);cur=""
        else: cur+=c
    return out+[cur]
def t(s):
    if s in P: return P[s]
    if s.startswith("array<"): return pa.list_(t(s[6:-1]))
    if s.startswith("map<"): k,v=split(s[4:-1]); return pa.map_(t(k),t(v))
    if s.startswith("struct<"): return pa.struct([(f.partition(":")[0],t(f.partition(":")[2])) for f in split(s[7:-1])])
    raise ValueError(s)
import pyspark.sql.pandas.types as T, speechlake.contracts as C
T.to_arrow_schema=lambda table,timezone=None: pa.schema([pa.field(c.name,t(c.type),c.nullable) for c in table.columns])
C.struct_of=lambda table: table
from pathlib import Path
root=Path(tempfile.mkdtemp(dir="/tmp/h/health-scratch"))
rows=sample_lake.sample_rows(lambda e:{c:"h" for c in sample_lake.CLIPS})
for name,r in rows.items():
    sample_lake.write_rows(None,root,TABLES[name],r)
print(root)
from speechlake.health.stored import tables, files
from speechlake.health.finding import Patient
print(tables(Patient(str(root)))); print(files(Patient(str(root))))
