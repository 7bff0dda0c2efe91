"""Sentence patterns that training does not use, made of words that training does use; and rows of the held-out lists.

Only the list builder and the tests read this module. The training text imports nothing of it.
"""

from __future__ import annotations

NEW_WORDINGS = """
{name} 刚才 打 电话 说 ， {prod} 的 合同 已经 签字 。
昨天 下午 ， {dept} 发现 {prod} 的 数据 存在 问题 。
你 知道 {city} 办公室 的 地址 吗 ？
{prod} 的 质量 比 去年 好 ， 但是 价格 更 贵 。
请 打印 {small} 份 会议 纪要 ， 送 到 {dept} 。
除了 {proj} ， 我们 还 要 讨论 {proj} 。
{name} 希望 {date} 能 收到 反馈 。
谁 知道 {serv} 的 密码 ？
{dept} 拒绝 了 {name} 的 报销 申请 。
{date} 我 要 去 医院 ， 会议 请 {name} 参加 。
虽然 {prod} 很 贵 ， 但是 客户 非常 满意 。
为什么 {dept} 的 同事 没有 收到 通知 ？
新 员工 {date} 参加 培训 ， 地点 在 {city} 。
我 看 了 报告 ， 第 {small} 页 的 图表 不 清楚 。
{city} 的 天气 很 好 ， {city} 正在 下雨 。
请 把 录音 转发 给 {dept} 的 {name} 。
只要 {name} 同意 ， 我们 就 可以 付款 。
服务器 的 内存 至少 要 增加 {percent} 。
{prod} 的 开发 {date} 结束 ， 测试 {date} 开始 。
{name} 的 建议 很 合理 ， 大家 同意 吗 ？
这些 图片 和 视频 占用 了 多少 空间 ？
密码 错误 超过 {small} 次 ， 账号 被 锁定 。
从 {date} 开始 ， 食堂 中午 提供 水果 和 牛奶 。
{dept} 和 {dept} 的 意见 完全 不 一样 。
{name} 在 {city} 买 了 {small} 台 {prod} 。
因为 下雨 ， 飞机 晚上 才 到 {city} 。
我 想 了解 {proj} 的 技术 标准 。
如果 网络 中断 ， 数据 会 丢失 吗 ？
这次 采购 的 {prod} 比较 便宜 ， 质量 也 可靠 。
{name} 负责 设计 ， {name} 负责 测试 ， {name} 负责 发布 。
我们 的 目标 是 提高 效率 ， 降低 成本 。
客户 反对 这个 方案 ， 因为 费用 太 高 。
{dept} {date} 搬 到 {small} 楼 办公 。
会议 结束 以后 ， 请 关闭 投影仪 和 空调 。
你们 的 {prod} 支持 {proj} 吗 ？
他 昨天 加班 到 {clock} ， 非常 辛苦 。
老师 让 学生 写 一份 关于 {proj} 的 总结 。
出租车 太 慢 ， 我们 一起 走 地铁 。
{brand} 的 市场 份额 增长 了 {percent} 。
请 确认 {brand} 的 合同 条款 和 付款 日期 。
{brand} 上线 以后 ， 用户 的 反馈 怎么样 ？
{name} 解释 了 {brand} 推迟 的 原因 。
{dept} 申请 购买 {small} 台 {brand} 服务器 。
目前 {brand} 的 存储 只有 {percent} 可用 。
现在 是 {clock} ， 我们 继续 讨论 预算 。
{money} 的 发票 已经 寄 到 {city} 。
这个 季度 的 奖金 是 {money} ， 大家 满意 吗 ？
最后 ， 请 {name} 总结 一下 今天 的 讨论 。
关于 数据 安全 ， 公司 有 明确 的 规定 。
{name} 老师 的 培训 什么 时候 开始 ？
他们 选择 了 {brand} ， 没有 选择 {brand} 。
门票 一共 {money} ， 身份证 号码 要 填写 正确 。
我 的 钥匙 和 护照 在 办公桌 上面 。
电梯 故障 ， 请 大家 走 楼梯 。
防火墙 的 日志 里 出现 了 {count} 次 异常 。
请 {dept} 评估 一下 {proj} 的 风险 和 收入 。
{small} 月 的 销售 计划 完成 了 {percent} ， 低于 目标 。
这里 的 咖啡 很 好 ， 你 要 不要 来 一杯 ？
{name} 经理 批准 了 这个 版本 的 发布 计划 。
下载 {prod} 的 软件 需要 注册 账号 吗 ？
"""

# An abbreviation between hanzi; FunASR joins neighbouring letters, so two abbreviations never stand side by side.
MIXED_ENGLISH = """
请 把 {known} 接口 的 文档 发给 {dept} 。
{city} 机房 的 {known} 已经 升级 。
这个 {known} 文件 打不开 ， 请 重新 发送 。
{name} 说 {known} 的 价格 太 高 。
我们 的 {known} 系统 {date} 上线 。
服务器 有 {small} 块 {known} ， 使用率 是 {percent} 。
{dept} 的 {known} 比 去年 提高 了 {percent} 。
请问 {known} 和 {known2} 有 什么 不 一样 ？
"""


def patterns(block: str) -> list[tuple[str, ...]]:
    """The patterns of a block as tuples of words."""
    return [tuple(line.split()) for line in block.strip().split("\n")]
