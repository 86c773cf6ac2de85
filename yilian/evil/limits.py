"""What no software prevents, said aloud."""

from __future__ import annotations

from typing import Final

from yilian.demo.report import Report
from yilian.evil.theft import Limit

LIMITS: Final = (
    Limit(
        "own-data",
        "A hospital shows or sells what it wrote itself, outside the system.",
        "医院在系统之外泄露自己书写的病历。",
    ),
    Limit(
        "own-log",
        "A hospital leaves its own reads of its own data out of its own log.",
        "医院读取自己的数据却不写入自己的日志。",
    ),
    Limit(
        "kept-copy",
        "A reader keeps, copies or photographs what a grant showed it; revoking stops later releases only.",
        "读者保存、复制或拍摄已授权内容；撤销只能阻止之后的释放。",
    ),
    Limit(
        "handed-on",
        "Custodian and reader who collude hand records over outside the system, without an entry.",
        "保管医院与读取医院串通，在系统之外私下传递。",
    ),
    Limit(
        "who-sat-there",
        "Somebody uses a colleague's signed-in screen: the entry names the account.",
        "他人使用同事已登录的屏幕：记录只显示账号。",
    ),
    Limit(
        "traffic",
        "Members see that two hospitals talk, when, and how much; not about whom.",
        "成员可看到两家医院何时通信、数据量多少，但看不到涉及何人。",
    ),
    Limit(
        "refusal-time",
        "How long a refusal takes is not evened out: it can tell a member that knows an id whether it is a patient's.",
        "拒绝所需的时间未做均衡：已知某编号的成员或可据此推断该编号是否属于某位患者。",
    ),
    Limit(
        "one-operator",
        "Whoever runs an embedded ledger alone holds every key of it; receipts say so.",
        "独自运行内嵌账本者持有其全部密钥；回执会注明。",
    ),
)


def tell(report: Report) -> None:
    """Print the list, and put it into the report."""
    report.console.print(report.t("[bold]Not preventable by software:[/bold]", "[bold]软件无法阻止：[/bold]"))
    for limit in LIMITS:
        report.say(f"{limit.name}: {limit.english}", f"{limit.name}：{limit.chinese}")
        report.not_preventable.append(limit.name)
