"""What failures mean, in Chinese, by the stable reason of the error; the detail in English follows in brackets."""

from __future__ import annotations

from typing import Final

CHINESE: Final = {
    "answer-lost": "对方的应答丢失，操作可能已生效；请以相同的选择重试",
    "answer-form": "对方的应答不符合规定",
    "answer-size": "对方的应答过长",
    "core-files": "操作系统不允许关闭内存转储，进程不能启动",
    "code": "登记码无效或已过期，请到窗口重新领取",
    "authorities": "证书颁发机构文件无法读取，或其中没有证书（PEM）",
    "deadline": "对方应答太慢，请稍后再试",
    "enrolled": "本钱包已在该医院登记",
    "https-certificate": "https 证书不受信任；请核对地址与 YILIAN_CA_FILE",
    "members-differ": "各医院所述成员不一致",
    "no-members": "没有医院告知成员名单",
    "no-witness": "没有其他医院的见证者应答，无法确认当前许可，请稍后再试",
    "not-witnessed": "尚未被足够多的其他医院见证，请稍后再试",
    "other-receipt": "凭证证明的是另一件事",
    "no-answer": "对方节点没有应答，请稍后再试",
    "no-entry": "账本上没有这一条",
    "no-row": "没有这一行",
    "no-record": "没有这份病历",
    "no-wallet": "没有钱包，请先运行 yilian wallet create 创建",
    "not-empty": "文件夹不是空的，请另选一个",
    "not-enrolled": "本钱包未在该医院登记",
    "not-identifier": "编号的格式不正确",
    "other-hospital": "该地址应答的是另一家医院",
    "other-record": "医院给出的不是所要的那份病历",
    "owner": "医院给出的是他人的病历",
    "passphrase": "口令太短",
    "unauthenticated": "请先登录",
    "vault": "口令不符，或钱包文件已被改动",
    "wallet-exists": "已有钱包",
    "wallet-file": "钱包文件无法读取",
    "words": "助记词不正确",
}
