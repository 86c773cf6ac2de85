"""WS/T 500-2016 电子病历共享文档规范, parts 1 to 53: the documents that Chinese hospitals share.

Part n has the template 2.16.156.10011.2.1.1.(20 + n) and the code C00nn of code system 2.16.156.10011.2.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

CODE_SYSTEM: Final = "2.16.156.10011.2.4"
_TEMPLATES: Final = "2.16.156.10011.2.1.1."
_FIRST_TEMPLATE: Final = 21
_CODE = re.compile(r"C00(\d\d)")

TITLES: Final = (
    "病历概要", "门（急）诊病历", "急诊留观病历", "西药处方", "中药处方", "检查报告", "检验报告", "治疗记录",
    "一般手术记录", "麻醉术前访视记录", "麻醉记录", "麻醉术后访视记录", "输血记录", "待产记录", "阴道分娩记录",
    "剖宫产记录", "一般护理记录", "病重（病危）护理记录", "手术护理记录", "生命体征测量记录", "出入量记录",
    "高值耗材使用记录", "入院评估", "护理计划", "出院评估与指导", "手术知情同意书", "麻醉知情同意书",
    "输血治疗同意书", "特殊检查及特殊治疗同意书", "病危（重）通知书", "其他知情告知同意书", "住院病案首页",
    "中医住院病案首页", "入院记录", "24小时内入出院记录", "24小时内入院死亡记录", "首次病程记录", "日常病程记录",
    "上级医师查房记录", "疑难病例讨论记录", "交接班记录", "转科记录", "阶段小结", "抢救记录", "会诊记录",
    "术前小结", "术前讨论", "术后首次病程记录", "出院记录", "死亡记录", "死亡病例讨论记录", "住院医嘱",
    "出院小结",
)  # fmt: skip
"""Titles of the parts, in order."""


def part(code: str, code_system: str, template_ids: Iterable[str]) -> int | None:
    """The part to which a document says that it conforms, by its template or its code; None: of another standard."""
    for template in template_ids:
        number = template.removeprefix(_TEMPLATES)
        if number != template and number.isascii() and number.isdigit() and len(number) <= 2:
            found = int(number) - _FIRST_TEMPLATE + 1
            if 1 <= found <= len(TITLES):
                return found
    named = _CODE.fullmatch(code)
    if code_system == CODE_SYSTEM and named and 1 <= int(named[1]) <= len(TITLES):
        return int(named[1])
    return None
