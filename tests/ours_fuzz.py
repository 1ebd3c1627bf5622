import sys, re, json, glob
from collections import Counter
from tests.conformance.syntax import *
from tests.conformance.syntax import _SHOWN
p=TrinoParser()
src=open('/tmp/team/s11/sql/agree.py').read(); B='/tmp/team/s11/sql/'
import ast
mode=sys.argv[1]
if mode=='strangers':
    part=src[src.index("cand=set()"):src.index("c=TrinoClient")]
    import random; exec(part); stm=cand
else:
    from tests.conformance.fetch import found as fetched
    from tests.conformance.extract import statements
    corpus=[s.sql for s in statements(fetched())]
    corpus=[c for c in corpus if len(c)<1500]
    stm=list(changed(corpus,int(sys.argv[2]),int(sys.argv[3])))
f=Asked()
crash=[]
for i in range(0,len(stm),500):
    ask(stm[i:i+500],p,f)
print(f.counts)
def pos(t): return re.sub(r'^error \d+:\d+ ','',t)[:60]
print('ONLY WE');
c=Counter(pos(t) for s,t,o in f.only_we)
seen=Counter()
for s,t,o in f.only_we:
    k=pos(t)[:34]; seen[k]+=1
    if seen[k]<=int(sys.argv[-1]): print(c[pos(t)],t[:110],'|',s[:200].replace('\n',' '))
print('ONLY TRINO',len(f.only_trino)); seen=Counter()
for s,t,o in f.only_trino:
    try: read(s)
    except RunFailed as e: m=e.failure.message; at=(e.failure.line,e.failure.column) if hasattr(e.failure,"line") else ""
    k=m[:40]; seen[k]+=1
    if seen[k]<=int(sys.argv[-1]): print(at,m[:90],'|',s[:200].replace('\n',' '))
p.close()
